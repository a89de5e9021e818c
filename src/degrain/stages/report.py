"""Stage report: everything the stages before left -> figures, and one self-contained HTML file."""

from __future__ import annotations

import logging

from degrain import files, snapshots
from degrain.artifacts.report import ReportRecord
from degrain.params.study import Params
from degrain.report import gallery, html
from degrain.report.material import gather
from degrain.stages import DATA_DOCS, EVALUATED, FIGURES, PREPARED, REPORT, REPORT_RECORD, TRIALS, VALIDATED

log = logging.getLogger(__name__)


def run(params: Params) -> None:
    """Draw the figures and write the report."""
    material = gather(params, VALIDATED, PREPARED, TRIALS, EVALUATED, DATA_DOCS, REPORT)
    drawn = gallery.draw(material)
    page = html.render(material, drawn)
    snapshots.require_unchanged(material.checked)
    with files.new_folder(FIGURES) as folder:
        for name, picture in drawn.items():
            (folder / name).write_bytes(picture)
    with files.new_file(REPORT) as partial:
        partial.write_text(page, encoding="utf-8")
    ReportRecord.of(material.shown, REPORT, FIGURES).write(REPORT_RECORD)
    log.info("%s, %.1f MB", REPORT, REPORT.stat().st_size / 1e6)
