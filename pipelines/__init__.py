"""Prefect flows. They only orchestrate: what depends on what stands in dvc.yaml, what a stage does in src/degrain."""

import os

from degrain.machine import variables

# NOTE: the one piece of work done on import: Prefect reads its settings when it is imported itself.
variables.switch_off_telemetry()
# A server of its own takes longer to start than Prefect's 20 seconds where training keeps every core busy.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")
