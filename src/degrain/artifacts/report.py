"""What report leaves beside the page and its figures: report.json."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from degrain import files
from degrain.artifacts.base import Record
from degrain.artifacts.ranking import Ranking
from degrain.errors import DataError


class ReportRecord(Record):
    """What report.json holds.

    Attributes:
        ranking_sha256: Digest of the ranking that is reported.
        page_sha256: SHA-256 of report.html.
        figures_sha256: Digest of the folder of figures, see `degrain.files.tree_digest`.
    """

    STAGE: ClassVar[str] = "report"
    VERSION: ClassVar[int] = 1

    ranking_sha256: str
    page_sha256: str
    figures_sha256: str

    @classmethod
    def of(cls, ranking: Ranking, page: Path, figures: Path) -> ReportRecord:
        """Describe a report as it lies on the disk."""
        return cls(
            schema_version=cls.VERSION,
            ranking_sha256=files.digest(ranking.model_dump(mode="json")),
            page_sha256=files.sha256(page) if page.is_file() else "",
            figures_sha256=files.tree_digest(figures) if figures.is_dir() else "",
        )

    @classmethod
    def check(cls, path: Path, ranking: Ranking, page: Path, figures: Path) -> None:
        """Refuse a report that is damaged or of another ranking.

        Args:
            path: Of report.json.
            ranking: What it is to report.
            page, figures: What it consists of.

        Raises:
            DataError: It is; the text says what to run.
        """
        made, present = cls.read(path), cls.of(ranking, page, figures)
        if made.ranking_sha256 != present.ranking_sha256:
            raise DataError(f"{page} reports another ranking than the present one; {cls.again()}")
        if made.page_sha256 != present.page_sha256:
            raise DataError(f"{page} is missing or damaged; {cls.again('-f -s')}")
        if made.figures_sha256 != present.figures_sha256:
            raise DataError(f"{figures} is missing or damaged; {cls.again('-f -s')}")
