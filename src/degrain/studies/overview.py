"""The gallery of studies for people and programs: what each asks, costs and gives, and what of it is here."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from degrain.baselines.catalog import BASELINES
from degrain.console import output
from degrain.errors import printable
from degrain.ingest.datasets import catalog, overview
from degrain.machine import description, variables
from degrain.studies import gallery, heads
from degrain.studies.heads import Head

# Of data sets with images of one's own, which the command has to name.
OWN = "data.path"
# From so many columns of a terminal on, the table has one for the data set.
WIDE = 110


@dataclass(frozen=True)
class Entry:
    """A study, and what of it is here.

    Attributes:
        head: What its file tells.
        here: Where its images are; empty if they are not here.
        missing: What this machine lacks, such as "170 MB to download" or "a GPU"; a study runs without a GPU, too, but
            nobody may want to wait for it.
    """

    head: Head
    here: str
    missing: tuple[str, ...]


def entries(raw: Path, ready: bool = False) -> list[Entry]:
    """Return all studies, those first for which nothing is missing.

    Args:
        raw: Where downloaded data sets lie.
        ready: Only those.

    Raises:
        ParamsError: There is no study here, or a file of one cannot be read.
    """
    found = [_entry(heads.read(name), raw) for name in gallery.names()]
    return sorted((one for one in found if not (ready and one.missing)), key=lambda one: bool(one.missing))


def _entry(head: Head, raw: Path) -> Entry:
    here = overview.at_hand(head.dataset, raw)
    needs = [*_of_data(head, here), *_of_packages(head)]
    if head.machine.short == heads.GPU and not _has_gpu():
        needs.append("a GPU")
    return Entry(head, here, tuple(needs))


def _of_data(head: Head, here: str) -> list[str]:
    dataset = catalog.spec(head.dataset)
    if here:
        return []
    if dataset.needs == OWN:
        return [f"{OWN}: your images"]
    if any(file.kaggle for file in dataset.files) and variables.kaggle_credentials():
        return [f"{dataset.size} to download from Kaggle"]
    return [dataset.needs or f"{dataset.size} to download"]


def _of_packages(head: Head) -> list[str]:
    named = (BASELINES[name].needs for name in head.baselines if name in BASELINES)
    wanted = dict.fromkeys((*head.packages, *filter(None, named)))
    return [f"the package {name}" for name in wanted if importlib.util.find_spec(name) is None]


@functools.cache
def _has_gpu() -> bool:
    return description.has_gpu()


def show(listed: Sequence[Entry]) -> None:
    """Print the table of studies."""
    wide = output.width >= WIDE
    table = Table(box=None, pad_edge=False)
    for column in ("study", *(("data set",) if wide else ()), "machine", "time", "PSNR"):
        table.add_column(column, no_wrap=True)
    table.add_column("missing here", overflow="fold")
    for one in listed:
        head = one.head
        data = [head.dataset] if wide else []
        told = *data, head.machine.short, head.time.short, head.psnr.short, "; ".join(one.missing)
        table.add_row(head.name, *(escape(printable(text)) for text in told))
    output.print(table)
    output.print("\nTo run one: dvc exp run -S study=NAME. What it is, and its whole command: degrain studies NAME")
    if not wide:
        output.print(f"A terminal of {WIDE} columns shows the data set of each, too.")


def details(name: str, raw: Path) -> str:
    """Return everything that is known of one study, as Markdown.

    Raises:
        ParamsError: There is none of that name, or its file cannot be read.
    """
    one = _entry(heads.read(name), raw)
    head = one.head
    lines = [f"## `{name}`", "", f"{head.title}.", "", head.about, "", f"- Command: `{head.command}`"]
    title = catalog.spec(head.dataset).title
    told = {
        "Machine": head.machine,
        "Time": head.time,
        "PSNR": head.psnr,
        "Data set": f"`{head.dataset}`: {title}{f' ({one.here})' if one.here else ''}",
        "Missing here": "; ".join(one.missing) or "nothing",
    }
    return "\n".join([*lines, *(f"- {key}: {value}" for key, value in told.items())])


def as_json(listed: Sequence[Entry]) -> list[dict[str, Any]]:
    """Return studies as JSON can hold them: the fields of `Head`, and `here` and `missing`."""
    return [asdict(one.head) | {"here": one.here, "missing": one.missing} for one in listed]
