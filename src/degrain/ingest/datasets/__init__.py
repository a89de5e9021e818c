"""Where images come from, what is known of them, and whether they may pass."""
