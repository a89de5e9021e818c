"""What report leaves beside the page and its figures: report.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import JsonValue

from degrain import files
from degrain.artifacts.base import Part, Record
from degrain.artifacts.code import Code
from degrain.errors import DataError


class Shown(Part):
    """What a report shows of a study, and what it is made of.

    Attributes:
        code: What draws it and writes the page, its templates included.
        settings: What was asked, by section of params.yaml, without what only says how something is computed.
        validation_sha256: Digest of the record of the validation.
        store_sha256: Digest of the record of the prepared data.
        trials_sha256: Digest of the records of all trials.
        ranking_sha256: Digest of the ranking.
        published_sha256: SHA-256 of the file with a paper's own curves; "" where there was none.
    """

    code: Code
    settings: dict[str, JsonValue]
    validation_sha256: str
    store_sha256: str
    trials_sha256: str
    ranking_sha256: str
    published_sha256: str


class ReportRecord(Shown, Record):
    """What report.json holds.

    Attributes:
        page_sha256: SHA-256 of report.html.
        figures_sha256: Digest of the folder of figures, see `degrain.files.tree_digest`.
    """

    WHAT: ClassVar[str] = "record of a report"
    STAGE: ClassVar[str] = "report"
    VERSION: ClassVar[int] = 3

    page_sha256: str
    figures_sha256: str

    @classmethod
    def of(cls, shown: Shown, page: Path, figures: Path) -> Self:
        """Describe a report as it lies on the disk."""
        return cls(
            schema_version=cls.VERSION,
            **dict(shown),
            page_sha256=files.sha256(page) if page.is_file() else "",
            figures_sha256=files.tree_digest(figures) if figures.is_dir() else "",
        )

    @classmethod
    def check(cls, path: Path, shown: Shown, page: Path, figures: Path) -> None:
        """Refuse a report that is damaged, or would be another if it were made now.

        Args:
            path: Of report.json.
            shown: What it is to show.
            page, figures: What it consists of.

        Raises:
            DataError: It is; the text says what to run.
        """
        made, present = cls.read(path), cls.of(shown, page, figures)
        if other := _differences(made.settings, present.settings):
            raise DataError(f"{page} was made with another {' and '.join(other)} than the study has; {cls.again()}")
        if made.code != present.code:
            raise DataError(f"{page} was made by other code than there is now; {cls.again()}")
        for what in ("validation", "store", "trials", "ranking"):
            if getattr(made, f"{what}_sha256") != getattr(present, f"{what}_sha256"):
                raise DataError(f"{page} does not report the present {what}; {cls.again()}")
        # NOTE: where there is no mirror, a report that was made with one is as good as before.
        if present.published_sha256 not in ("", made.published_sha256):
            raise DataError(f"{page} shows other published curves than the mirror has; {cls.again('-f -s')}")
        if made.page_sha256 != present.page_sha256:
            raise DataError(f"{page} is missing or damaged; {cls.again('-f -s')}")
        if made.figures_sha256 != present.figures_sha256:
            raise DataError(f"{figures} is missing or damaged; {cls.again('-f -s')}")


def _differences(made: dict[str, Any], asked: dict[str, Any]) -> list[str]:
    """The dotted names of the parameters that differ, sorted."""
    return sorted(
        f"{section}.{name}"
        for section in {*made, *asked}
        for name in {*made.get(section, {}), *asked.get(section, {})}
        if made.get(section, {}).get(name) != asked.get(section, {}).get(name)
    )
