"""The pages of Great Expectations' Data Docs that the report links to."""

from __future__ import annotations

from pathlib import Path

from degrain import files
from degrain.artifacts.validation import VALIDATION, Validation, run_name
from degrain.errors import DataError

# What a page of HTML ends with, so that one that was cut off is known.
END = b"</html>"


def links(folder: Path, validation: Validation, report: Path) -> dict[str, str]:
    """Find the page of each suite.

    Args:
        folder: Of the Data Docs.
        validation: Whose they must be; its data set names the suites.
        report: Where the links are to stand.

    Returns:
        For each suite the address of its page, relative to the report's folder.

    Raises:
        DataError: A suite does not have exactly one page of this validation, or that is empty or cut off; the text
            says what to run.
    """
    dataset = validation.asked.data.dataset
    run = run_name(validation.asked, validation.code, validation.files_sha256)
    return {
        suite: _page(folder, suite, run).relative_to(report.parent).as_posix()
        for suite in (dataset, f"{dataset}-counts")
    }


def _page(folder: Path, suite: str, run: str) -> Path:
    again = Validation.again("-f -s")
    pages = sorted(folder.glob(f"validations/{suite}/{run}/*/*.html"))
    if len(pages) != 1:
        raise DataError(
            f"{folder} has {len(pages)} pages of the suite {suite} for the validation in {VALIDATION}, and 1 is "
            f"needed; {again}"
        )
    if not files.contents(pages[0]).rstrip().endswith(END):
        raise DataError(f"{pages[0]} is empty or damaged; {again}")
    return pages[0]
