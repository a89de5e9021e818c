"""Models that come with degrain."""
