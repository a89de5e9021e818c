"""The catalog for people: a table on the terminal, the details of one data set, and the page docs/data.md."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from degrain.artifacts.source import SOURCE
from degrain.console import output
from degrain.ingest.datasets.catalog import DATASETS, spec
from degrain.ingest.datasets.spec import DatasetSpec
from degrain.machine import variables


def show(raw: Path) -> None:
    """Print the table of data sets.

    Args:
        raw: Where downloaded data sets lie.
    """
    rows = [(name, _here(name, dataset, raw), dataset.title) for name, dataset in DATASETS.items()]
    table = Table(box=None, pad_edge=False)
    for i, column in enumerate(("name", "here?")):
        table.add_column(column, no_wrap=True, min_width=max(len(row[i]) for row in rows))
    table.add_column("what it is")
    for row in rows:
        table.add_row(*row)
    output.print(table)


def _here(name: str, dataset: DatasetSpec, raw: Path) -> str:
    return at_hand(name, raw) or (f"needs {dataset.needs}" if dataset.needs else f"{dataset.size} to download")


def at_hand(name: str, raw: Path) -> str:
    """Say where a data set is on this machine; empty if it is not here.

    Args:
        name: In the catalog.
        raw: Where downloaded data sets lie.

    Raises:
        ParamsError: There is none of that name.
    """
    dataset = spec(name)
    if (raw / name / SOURCE).is_file():
        return "downloaded"
    if dataset.files and all((variables.downloads() / name / file.name).is_file() for file in dataset.files):
        return "downloaded before"
    mirror = variables.mirror()
    if mirror and dataset.files and all((Path(mirror) / file.mirror).is_file() for file in dataset.files):
        return "in the mirror"
    return "in the package" if name == "photos" else ""


def details(name: str) -> str:
    """Return everything known of one data set, as Markdown.

    Raises:
        ParamsError: There is none of that name.
    """
    dataset = spec(name)
    lines = [f"## `{name}`", "", f"{dataset.title}.", ""]
    for what, text in (
        ("Origin", dataset.origin),
        ("Licence", dataset.licence),
        ("Citation", dataset.citation),
        ("Download", dataset.size),
        ("Needs", dataset.needs),
    ):
        if text:
            lines.append(f"- {what}: {text}")
    lines += [f"- Split: {dataset.split}", *(f"- Known problem: {problem}" for problem in dataset.problems), ""]
    if dataset.files:
        lines += ["| file | in a mirror | bytes | SHA-256 | from |", "|---|---|---|---|---|"]
        for file in dataset.files:
            origins = [f"Kaggle `{file.kaggle}`"] if file.kaggle else []
            origins += [f"<{url}>" for url in file.urls]
            size = f"{file.size:,}" if file.size else "not published"
            checksum = f"`{file.sha256[:16]}...`" if file.sha256 else "recorded at the first download"
            lines.append(
                f"| {file.name} | {file.mirror} | {size} | {checksum} | {', '.join(origins) or 'a mirror only'} |"
            )
        lines.append("")
    return "\n".join(lines)


def reference() -> str:
    """Return the sections of all data sets, as Markdown."""
    return "\n".join(details(name) for name in DATASETS)
