"""Prefect flows. They only orchestrate: what depends on what stands in dvc.yaml, what a stage does in src/degrain."""

from degrain import environment

# NOTE: the one piece of work done on import: Prefect reads its telemetry settings when it is imported itself.
environment.switch_off_telemetry()
