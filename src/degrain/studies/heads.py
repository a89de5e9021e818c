"""The heads of the studies: what each asks, needs, costs and gives, read from its file without composing it.

The comments at the top of a file in conf/study tell what the study is about, and have a line for each of `KEYS`:

    # Command: dvc exp run -S study=quickstart
    # Machine: 2 cores; of an AMD EPYC with AVX512-BF16, 24 GiB
    # Time: 1 min 40 s; 2026-11-27
    # PSNR: 30.41 dB; unet-adam-mse on test patches, noisy input 20.71 dB

What comes before a semicolon is shown in the list. Time and PSNR are those of a recorded run of the command on the
machine, or "not run"; then the machine, CPU or GPU, is what the study was made for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from degrain import files
from degrain.errors import ParamsError
from degrain.params import yaml_text
from degrain.studies.gallery import CONF, file_of

KEYS = ("Command", "Machine", "Time", "PSNR")
# Packages beside those that degrain brings along; most studies need none.
OPTIONAL = ("Packages",)
NOT_RUN = "not run"
GPU = "GPU"

_LINE = re.compile(rf"# ({'|'.join((*KEYS, *OPTIONAL))}): (.+)")


@dataclass(frozen=True)
class Told:
    """A line of a head: what is shown in the list, and the rest of the line."""

    short: str
    more: str = ""

    def __str__(self) -> str:
        return "; ".join(filter(None, (self.short, self.more)))


@dataclass(frozen=True)
class Head:
    """What is told of a study.

    Attributes:
        name: Of its file.
        title: In one line.
        about: The other comments at its top, as Markdown.
        command: Which runs it.
        machine: Which the figures are of, such as "2 cores"; of a study that was not run, "CPU" or `GPU`.
        time: That it takes there, or `NOT_RUN`.
        psnr: To be expected, or `NOT_RUN`.
        packages: That it imports and degrain does not bring along by itself.
        dataset: Which images it is about.
        baselines: Classical denoisers beside those of all studies; empty if it names none.
    """

    name: str
    title: str
    about: str
    command: str
    machine: Told
    time: Told
    psnr: Told
    packages: tuple[str, ...]
    dataset: str
    baselines: tuple[str, ...]


def read(name: str, conf: Path = CONF) -> Head:
    """Read the head of a study; what one of your own does not tell is taken as not run, on a CPU.

    Raises:
        ParamsError: There is no such study, its file is no YAML, or it is built on one that is not there.
    """
    text = _text(file_of(name, conf))
    told, about = _comments(text)
    settings = _settings(f"study/{name}", conf)
    study, data = settings.get("study", {}), settings.get("data", {})

    def line(key: str, default: str) -> Told:
        short, _, more = told.get(key, default).partition(";")
        return Told(short.strip(), more.strip())

    return Head(
        name=name,
        title=str(study.get("title", "")),
        about=about,
        command=told.get("Command", f"dvc exp run -S study={name}"),
        machine=line("Machine", "CPU"),
        time=line("Time", NOT_RUN),
        psnr=line("PSNR", NOT_RUN),
        packages=tuple(line("Packages", "").short.split()),
        dataset=str(data.get("dataset", "")),
        baselines=tuple(settings.get("evaluate", {}).get("baselines", ())),
    )


def _comments(text: str) -> tuple[dict[str, str], str]:
    """The lines of `KEYS` among the comments at the top of a file, and the other ones."""
    told: dict[str, str] = {}
    about = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        if found := _LINE.fullmatch(line.rstrip()):
            told[found[1]] = found[2]
        elif not line.startswith("# @package"):
            about.append(line.removeprefix("#").removeprefix(" "))
    return told, "\n".join(about).strip()


def _text(path: Path) -> str:
    try:
        return files.contents(path).decode()
    except (OSError, ValueError) as error:
        raise ParamsError(f"cannot read {path}: {error}") from None


def _settings(place: str, conf: Path, below: tuple[str, ...] = ()) -> dict[str, Any]:
    """A file of conf laid over those that its `defaults` name, as Hydra does; of conf/base.yaml nothing is in it."""
    path = conf / f"{place}.yaml"
    if place in below:
        raise ParamsError(f"{path}: defaults go in circles: {' > '.join((*below, place))}")
    try:
        own = yaml_text.load(_text(path)) or {}
    except yaml_text.Mistake as mistake:
        raise ParamsError(f"{path}: {mistake}") from None
    if not isinstance(own, dict):
        raise ParamsError(f"{path} holds no sections such as study: and train:")
    made: dict[str, Any] = {}
    for other in own.pop("defaults", []):
        if other != "_self_":
            under = other.removeprefix("/") if other.startswith("/") else f"study/{other}"
            made = _over(made, _settings(under, conf, (*below, place)))
    return _over(made, own)


def _over(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """One nested mapping laid over another."""
    made = dict(lower)
    for key, value in upper.items():
        old = made.get(key)
        made[key] = _over(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return made
