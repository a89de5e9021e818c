"""The pages of Great Expectations' Data Docs that the report links to."""

from __future__ import annotations

from pathlib import Path

from degrain import files
from degrain.artifacts.validation import Validation
from degrain.errors import DataError

# What a page of HTML ends with, so that one that was cut off is known.
END = b"</html>"


def links(folder: Path, dataset: str, report: Path) -> dict[str, str]:
    """Find the page of each suite.

    Args:
        folder: Of the Data Docs.
        dataset: Name of the data set, after which the suites are named.
        report: Where the links are to stand.

    Returns:
        For each suite the address of its page, relative to the report's folder.

    Raises:
        DataError: A suite does not have exactly one page, or that is empty or cut off; the text says what to run.
    """
    return {
        suite: _page(folder, suite).relative_to(report.parent).as_posix() for suite in (dataset, f"{dataset}-counts")
    }


def _page(folder: Path, suite: str) -> Path:
    again = Validation.again("-f -s")
    pages = sorted(folder.glob(f"validations/{suite}/*/*/*.html"))
    if len(pages) != 1:
        raise DataError(f"{folder} has {len(pages)} pages of the suite {suite}, and 1 is needed; {again}")
    if not files.contents(pages[0]).rstrip().endswith(END):
        raise DataError(f"{pages[0]} is empty or damaged; {again}")
    return pages[0]
