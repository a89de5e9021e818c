"""The metric protocol, the classical baselines and the ranking."""
