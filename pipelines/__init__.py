"""Prefect flows. They only orchestrate: what depends on what stands in dvc.yaml, what a stage does in src/degrain."""

import os

from degrain.machine import variables

# NOTE: the one piece of work done on import: Prefect reads its settings when it is imported itself.
variables.switch_off_telemetry()
# A server that Prefect starts by itself would outlive a run that is killed; pipelines.by_hand starts one on a leash.
os.environ["PREFECT_SERVER_EPHEMERAL_ENABLED"] = "false"
