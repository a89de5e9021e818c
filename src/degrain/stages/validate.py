"""Stage validate: raw images -> manifest, Great Expectations result, Data Docs, quarantine list."""

from __future__ import annotations

import logging
from typing import Any

import pandas as pd

from degrain import console, files
from degrain.datasets import catalog, expectations, manifest
from degrain.errors import ValidationFailed
from degrain.params import Params
from degrain.stages import DATA_DOCS, MANIFEST, RAW, VALIDATION

log = logging.getLogger(__name__)


def run(params: Params) -> None:
    """Describe every image, hold them against the suite, and stop or quarantine as the study says.

    Raises:
        ValidationFailed: An expectation fails and the study does not allow it; the images are named.
    """
    folder = RAW / params.data.dataset
    listing = catalog.spec(params.data.dataset).images(folder)
    with console.progress("validate", len(listing)) as advance:
        table = manifest.build(folder, listing, advance)
    with files.new_folder(DATA_DOCS) as docs:
        results = expectations.run(table, params.validation, params.data.dataset, docs)

    failed = [result for result in results if not result["success"]]
    flagged = sorted({image for result in failed for image in result["images"]})
    whole = [result for result in failed if not result["images"]]
    if failed and (params.validation.on_failure == "stop" or whole):
        raise ValidationFailed(
            "validation failed: " + "; ".join(_explain(result, table) for result in failed) + f" (see {DATA_DOCS})"
        )
    left = len(table) - len(flagged)
    if left < params.validation.min_images:
        raise ValidationFailed(
            f"validation failed: {left} images are left without {', '.join(flagged)} (see {DATA_DOCS})"
        )
    table["quarantined"] = table["path"].isin(flagged)
    with files.new_file(MANIFEST) as partial:
        table.to_parquet(partial, index=False)
    files.write_json(VALIDATION, {"images": len(table), "quarantined": flagged, "expectations": results})
    for image in flagged:
        log.warning("%s is quarantined", image)
    log.info(
        "%d images, %d expectations hold, %d quarantined",
        len(table),
        len(results) - len(failed),
        len(flagged),
    )


def _explain(result: dict[str, Any], table: pd.DataFrame) -> str:
    if result["name"] == "decodes":
        reasons = table.set_index("path")["error"]
        return "; ".join(str(reasons[image]) for image in result["images"])
    images = ", ".join(result["images"])
    return f"expected {result['text']}" + (f", not so in {images}" if images else "")
