"""The trial ledger: what every trial left, under the hash of what decided it.

`.degrain/trials/<key>/` holds trial.json, history.csv and weights.safetensors. An entry appears there whole or not at
all, so a killed run loses only the trial it was in, and nothing that is done is trained again.
"""

from __future__ import annotations

import csv
import dataclasses
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from degrain import environment, files
from degrain.errors import DataError, OutputError
from degrain.training.loop import Epoch
from degrain.trials.records import HISTORY, TRIAL, WEIGHTS

log = logging.getLogger(__name__)


class Ledger:
    """The entries of one workspace.

    Args:
        folder: Where they lie; `trials` in the folder that outlives single runs if absent.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or environment.home() / "trials"

    def find(self, key: str) -> Path | None:
        """Return the entry of a key, or None. A damaged entry is set aside and not trusted."""
        entry = self.folder / key
        if not entry.exists():
            return None
        try:
            recorded = files.read_json(entry / TRIAL)
            whole = recorded["key"] == key and all(
                files.sha256(entry / name) == value for name, value in recorded["sha256"].items()
            )
        except (DataError, OSError, KeyError, TypeError, AttributeError):
            whole = False
        if whole:
            return entry
        aside = entry.with_name(f"{key}.damaged")
        shutil.rmtree(aside, ignore_errors=True)
        entry.replace(aside)
        log.warning("ledger entry %s is damaged; it is set aside as %s and trained again", key, aside)
        return None

    def record(
        self, key: str, described: dict[str, Any], history: Sequence[Epoch], network: torch.nn.Module | None
    ) -> Path:
        """Write the entry of a trial that ended.

        Args:
            key: Its key.
            described: What decided it and what came out, ready for JSON.
            history: What each epoch left.
            network: The trained network, or None when it diverged.

        Returns:
            The entry's folder.

        Raises:
            OutputError: The ledger cannot be written.
        """
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        entry = self.folder / key
        with files.new_folder(entry) as partial:
            with (partial / HISTORY).open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(field.name for field in dataclasses.fields(Epoch))
                writer.writerows(dataclasses.astuple(epoch) for epoch in history)
            if network is not None:
                weights = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
                try:
                    save_file(weights, partial / WEIGHTS)
                except SafetensorError as error:
                    raise OutputError(f"cannot write the weights of {described['name']}: {error}") from error
            hashes = {path.name: files.sha256(path) for path in sorted(partial.iterdir())}
            files.write_json(partial / TRIAL, {"key": key, **described, "sha256": hashes})
        return entry
