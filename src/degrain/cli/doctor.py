"""`degrain doctor`: what this machine has, what is missing, and how to mend it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from degrain import console, extras, files
from degrain.errors import DegrainError, printable
from degrain.machine import description, variables
from degrain.params.study import load_params
from degrain.project import code
from degrain.stages import EVALUATED, PREPARED, RAW, RESULTS, TRIALS, VALIDATED

# How bad a finding is: fine, good to have, needed.
OK, NOTE, MISSING = "ok", "note", "missing"
Finding = tuple[str, str, str]


def run() -> bool:
    """Print a table of findings.

    Returns:
        Whether everything that `make repro` needs is there.
    """
    findings = [
        *_machine(),
        *_packages(),
        *_tools(),
        *_folders(),
        *_data(),
        *_project(),
    ]
    table = Table(show_header=False, box=None)
    signs = {OK: "[green]ok[/]", NOTE: "[yellow]note[/]", MISSING: "[red]missing[/]"}
    for state, what, text in findings:
        table.add_row(signs[state], what, escape(printable(text)))
    console.console.print(table)
    return all(state != MISSING for state, _, _ in findings)


def _machine() -> Iterator[Finding]:
    for what, text in description.describe_machine().items():
        yield OK, what, text
    free = shutil.disk_usage(Path()).free / 2**30
    yield (
        (OK if free > 2 else NOTE),
        "disk",
        f"{free:.1f} GiB free here; the quickstart study needs about 0.2",
    )


def _packages() -> Iterator[Finding]:
    for requirement in importlib.metadata.requires("degrain") or []:
        if "extra ==" in requirement:
            continue
        name = requirement.split(";")[0]
        for mark in "<>=!~[ ":
            name = name.split(mark)[0]
        try:
            yield OK, name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield MISSING, name, "not installed: run make env, or pip install degrain"
    for extra in extras.EXTRAS:
        absent = extras.absent(extra)
        told = f"without {', '.join(absent)}; {extras.command(extra)}" if absent else "installed"
        yield (NOTE if absent else OK), f"extra {extra}", told


def _tools() -> Iterator[Finding]:
    for tool, why in (
        ("git", "DVC needs it"),
        ("dvc", f"the stages run through it; source .venv/bin/activate, or {extras.command('pipeline')}"),
    ):
        found = shutil.which(tool)
        yield (OK, tool, found) if found else (MISSING, tool, f"not on the PATH: {why}")
    for tool in ("chromium", "chromedriver"):
        found = shutil.which(tool)
        yield ((OK, tool, found) if found else (NOTE, tool, "not on the PATH: only the report's browser test needs it"))


def _folders() -> Iterator[Finding]:
    folders = (RAW, VALIDATED, PREPARED, TRIALS, EVALUATED, RESULTS, variables.home(), variables.home() / "trials")
    for folder in folders:
        try:
            files.require_writable(folder / "file")
        except DegrainError as error:
            yield MISSING, "folders", str(error)


def _data() -> Iterator[Finding]:
    mirror = variables.mirror()
    if mirror is None:
        yield OK, "mirror", "none; data sets are downloaded (DEGRAIN_MIRROR names one)"
    elif mirror.startswith("http") or Path(mirror).is_dir():
        yield OK, "mirror", mirror
    else:
        yield NOTE, "mirror", f"DEGRAIN_MIRROR={mirror} is no folder"
    credentials = variables.kaggle_credentials()
    yield (
        (OK, "Kaggle", f"credentials in {credentials}")
        if credentials
        else (NOTE, "Kaggle", "no credentials; data sets of Kaggle need a token (docs/data.md)")
    )


def _project() -> Iterator[Finding]:
    try:
        code.require(Path())
    except DegrainError as error:
        yield MISSING, code.CODE, str(error)
    try:
        params = load_params()
        yield OK, "params.yaml", f"study {params.study.name}"
    except DegrainError as error:
        yield MISSING, "params.yaml", str(error)
        return
    from degrain.registry import aliases

    uri = variables.tracking_uri()
    yield OK, "MLflow", uri
    name = params.register_.name
    file = variables.sqlite_file(uri)
    if file and not file.exists():
        yield NOTE, "champion", f"{name} has none yet: {aliases.HOW_TO_REGISTER}"
        return
    try:
        from degrain.registry import loading, tracking

        with tracking.connect() as client:
            holder = aliases.current(client, name)
            lost = loading.loss(client, holder) if holder else None
        text = f"version {holder.version} of {name}" if holder else f"{name} has none yet: {aliases.HOW_TO_REGISTER}"
        yield (NOTE if lost or not holder else OK), "champion", f"{text} cannot be used: {lost}" if lost else text
    except DegrainError as error:
        yield NOTE, "champion", str(error)
