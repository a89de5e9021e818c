"""Projects outside a clone of degrain: what `degrain init` makes, and what `degrain upgrade` brings up to date."""
