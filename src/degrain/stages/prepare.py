"""Stage prepare: raw images and manifest -> memory-mapped patch store."""

from __future__ import annotations

import logging

from degrain import console, files
from degrain.artifacts.source import Source
from degrain.artifacts.validation import Validation
from degrain.errors import DataError
from degrain.ingest.datasets import manifest
from degrain.ingest.formats.containers import Containers
from degrain.params.study import Params
from degrain.patches import preparation
from degrain.stages import PREPARED, RAW, VALIDATED
from degrain.studies import array_probes

# Channels of the images, by prepare.color.
CHANNELS = {"keep": (1, 3), "gray": (1,), "rgb": (3,)}

log = logging.getLogger(__name__)


def run(params: Params) -> None:
    """Cut, split and store the images that may be used.

    Raises:
        DataError: What an earlier stage has left is missing, damaged or of another study, or images have changed since.
    """
    table, validation = manifest.read(VALIDATED, params)
    folder = RAW / params.data.dataset
    if Source.of_study(folder, params.data).files_sha256 != validation.files_sha256:
        raise DataError(f"{VALIDATED} was made of other files than {folder} holds now; {Validation.again()}")
    array_probes.check_noise(params.prepare.noise, CHANNELS[params.prepare.color])
    table = table[~table["quarantined"]].reset_index(drop=True)
    with (
        Containers(folder, params.data.raw, white=params.data.white) as containers,
        files.new_folder(PREPARED) as prepared,
        console.progress("prepare", len(table)) as advance,
    ):
        record = preparation.fill(
            prepared, containers, table, params.prepare, validation.asked, validation.manifest_sha256, advance
        )
    counts = ", ".join(f"{count} {split}" for split, count in record.counts.items())
    log.info("%s patches of %d pixels", counts, params.prepare.patch_size)
