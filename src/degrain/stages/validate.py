"""Stage validate: raw images -> manifest, Great Expectations result, Data Docs, quarantine list."""

from __future__ import annotations

import logging

from degrain import console, extras, files
from degrain.artifacts.validation import Asked, run_name
from degrain.ingest.datasets import catalog, downloaded, expectations, judgement, listing, manifest, near_copies
from degrain.ingest.formats.containers import Containers
from degrain.params.study import Params
from degrain.stages import DATA_DOCS, RAW, VALIDATED

log = logging.getLogger(__name__)


def run(params: Params) -> None:
    """Describe every image, hold them against the suite, and stop or quarantine as the study says.

    Raises:
        MissingExtra: Great Expectations is not installed.
        DataError: The data set is missing or damaged, or is another than the study asks for.
        ValidationFailed: An expectation fails and the study does not allow it; the images are named.
    """
    extras.require("great_expectations")  # which is imported when every image has been read
    folder = RAW / params.data.dataset
    source, raw = downloaded.read(folder, params.data)
    files.require_writable(VALIDATED, DATA_DOCS)
    manifest.remove(VALIDATED)
    dataset, labels = catalog.spec(params.data.dataset), params.data.labels
    listed = dataset.images(folder, params.data)
    chosen = listing.select(listed, params.data)
    counted = listed[listed["label"].isin(labels)] if labels else listed
    groups = expectations.counts(counted, dataset.expected, params.validation, labels)
    with (
        Containers(folder, params.data.raw, white=params.data.white) as containers,
        console.progress("validate", len(chosen)) as advance,
    ):
        table, pairs = manifest.build(containers, chosen, dataset.expected.near_copies, advance)
        paths = [[table["path"][number] for number in (pair.first, pair.second)] for pair in pairs]
        both = [[containers.read(path).pixels for path in pair] for pair in paths[: near_copies.SHOWN]]
    asked, code = Asked.of(params), downloaded.code(dataset)
    name = run_name(asked, code, source.files_sha256)
    with files.new_folder(DATA_DOCS) as docs:
        results = expectations.run(params.data.dataset, dataset, table, groups, params.validation, docs, name)
    judged = judgement.judge(results, table, groups, params.validation)
    quarantined = judged.quarantined(params.validation, DATA_DOCS)
    shown = [near_copies.side_by_side(*pair) for pair in both]
    raw.require_unchanged()
    manifest.write(VALIDATED, asked, code, source.files_sha256, table, len(listed), quarantined, results, pairs, shown)
    judged.warn()
    holding = sum(result.success for result in results)
    if pairs:
        log.warning("%d pairs of images show the same picture, such as %s and %s", len(pairs), *paths[-1])
    log.info("%d images, %d expectations hold, %d quarantined", len(table), holding, len(quarantined))
