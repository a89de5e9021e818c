"""Prefect flows. They only orchestrate: what depends on what stands in dvc.yaml, what a stage does in src/degrain."""

import os
import sys

from degrain import extras
from degrain.errors import MissingExtra
from degrain.machine import variables

try:
    extras.require("dvc", "prefect")
except MissingExtra as missing:
    # NOTE: its modules are programs, which import Prefect before anything of theirs could catch this.
    sys.stderr.write(f"pipelines: {missing}\n")
    sys.exit(2)
# NOTE: Prefect reads its settings when it is imported itself.
variables.switch_off_telemetry()
# A server that Prefect starts by itself would outlive a run that is killed; pipelines.by_hand starts one on a leash.
os.environ["PREFECT_SERVER_EPHEMERAL_ENABLED"] = "false"
