"""Measuring every method on the same held-out data, and the ranking."""
