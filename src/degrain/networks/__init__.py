"""The networks: one module per paper, and the catalog that builds them by name."""
