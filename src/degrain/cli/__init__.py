"""The `degrain` command."""
