"""Stage validate: raw images -> manifest, Great Expectations result, Data Docs, quarantine list."""

from __future__ import annotations

import logging
from typing import Any

import pandas as pd

from degrain import console, files
from degrain.artifacts.validation import Validation
from degrain.errors import DataError, ParamsError, ValidationFailed, nearest
from degrain.ingest.datasets import catalog, expectations, listing, manifest
from degrain.ingest.formats.containers import Containers
from degrain.params.study import Params
from degrain.stages import DATA_DOCS, RAW, VALIDATED

log = logging.getLogger(__name__)

# An error message names so many images at most; the Data Docs have all.
NAMED = 4
# What no study can do without.
NEEDED = ("groups", "count", "decodes", "path", "channels", "dtype", "paired", "same_size")


def run(params: Params) -> None:
    """Describe every image, hold them against the suite, and stop or quarantine as the study says.

    Raises:
        ValidationFailed: An expectation fails and the study does not allow it; the images are named.
    """
    folder = RAW / params.data.dataset
    if not folder.is_dir():
        raise DataError(f"{folder} is missing; run: degrain download")
    # NOTE: what an earlier validation allowed must not outlive one that fails.
    path = VALIDATED / manifest.MANIFEST
    path.unlink(missing_ok=True)
    dataset = catalog.spec(params.data.dataset)
    listed = dataset.images(folder, params.data)
    chosen = listing.select(listed, params.data)
    groups = expectations.counts(
        listed[listed["label"].isin(params.data.labels)] if params.data.labels else listed,
        dataset.expected,
        params.validation,
        params.data.labels,
    )
    with Containers(folder, params.data.raw) as containers, console.progress("validate", len(chosen)) as advance:
        table = manifest.build(containers, chosen, advance)
    with files.new_folder(DATA_DOCS) as docs:
        results = expectations.run(params.data.dataset, dataset, table, groups, params.validation, docs)

    known = [result["name"] for result in results]
    for name in params.validation.allow:
        if name not in known:
            raise ParamsError(f"validate.allow: there is no expectation {name!r}{nearest(name, known)}")
        if name in NEEDED:
            raise ParamsError(
                f"validate.allow: without {name!r} nothing can be prepared; quarantine such images instead"
            )
    broken = [result for result in results if not result["success"]]
    failed = [result for result in broken if result["name"] not in params.validation.allow]
    flagged = sorted({image for result in failed if not result["groups"] for image in result["images"]})
    whole = [result for result in failed if result["groups"] or not result["images"]]
    if failed and (params.validation.on_failure == "stop" or whole):
        shown = whole if params.validation.on_failure == "quarantine" else failed
        raise ValidationFailed(
            "validation failed: "
            + "; ".join(_explain(result, table, groups) for result in shown)
            + f" (see {DATA_DOCS})"
        )
    left = len(table) - len(flagged)
    if left < params.validation.min_images:
        raise ValidationFailed(f"validation failed: {left} images are left without {_named(flagged)} (see {DATA_DOCS})")
    table["quarantined"] = table["path"].isin(flagged)
    with files.new_file(path) as partial:
        table.to_parquet(partial, index=False)
    Validation.model_validate(
        {
            "schema_version": Validation.VERSION,
            "images": len(table),
            "published": len(listed),
            "quarantined": flagged,
            "expectations": results,
            "manifest_sha256": files.sha256(path),
        }
    ).write(VALIDATED / manifest.VALIDATION)
    for result in broken:
        what = "quarantined" if result in failed else "allowed"
        log.warning("%s: %s", what, _explain(result, table, groups))
    holding = len(results) - len(broken)
    log.info("%d images, %d expectations hold, %d quarantined", len(table), holding, len(flagged))


def _explain(result: dict[str, Any], table: pd.DataFrame, groups: pd.DataFrame) -> str:
    if result["name"] == "decodes":
        reasons = table.set_index("path")["error"]
        return "; ".join(str(reasons[image]) for image in result["images"][:NAMED])
    if result["groups"]:
        rows = groups.set_index("group")
        found = [f"{group} has {rows['images'][group]:.0f}" for group in result["images"]]
        hint = "; a part of the data set? validate.partial: true" if result["name"] == "fewer" else ""
        return f"expected {result['text']}, but {_named(found)}{hint}"
    return f"expected {result['text']}" + (f", not so in {_named(result['images'])}" if result["images"] else "")


def _named(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
