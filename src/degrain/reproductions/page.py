"""The page of claims and measurements, as Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from statistics import mean, stdev

from degrain import files
from degrain.artifacts.reproduction import ReproducedTrial, Reproduction
from degrain.errors import DataError
from degrain.evaluation import ranking, summary
from degrain.reproductions import FIGURES, claims
from degrain.reproductions.claims import Claim

# On the page, all below this line is generated.
TABLES = "## Claimed and measured"
# The means that it shows.
VAL, TEST, TEST_SSIM = summary.name("val"), summary.name("test"), summary.name("test", "ssim")
# Losses below this are shown with a digit more.
LITTLE = 0.1
HEAD = (
    "paper and network",
    "claimed",
    "measured",
    "verdict",
    "PSNR: network",
    "noisy input",
    "best classical",
    "our U-Net",
    "study, seeds, time for each",
)
MISSING_HEAD = ("paper and network", "claimed", "needs", "study")
RUN_HEAD = ("study", "date", "command", "machine")
SHARPENED_HEAD = ("study", "trial", "PSNR test", "PSNR sharpened", "SSIM test", "SSIM sharpened")
RANKING_HEAD = (
    "place",
    "network",
    "optimizer, loss",
    "PSNR val",
    "PSNR test",
    "last val loss",
    "claimed",
    "place by claimed loss",
)


def tables(folder: Path) -> str:
    """Return the tables and figures as Markdown: claimed against measured, what was not run, rankings, runs."""
    records = {path.stem: Reproduction.read(path) for path in sorted(folder.glob("*.json"))}
    known = claims.read(folder)
    rows = [_measured(claim, records) for claim in known]
    lines = _table(HEAD, filter(None, rows))
    lines += ["", *(f"- {claim.paper}, {claim.what}: {claim.about}" for claim in known if claim.about)]
    if missing := [claim for claim, row in zip(known, rows, strict=True) if not row]:
        lines += ["", "## Not run", "", *_table(MISSING_HEAD, map(_missing, missing))]
    for name, made in records.items():
        lines += _ranking(name, made, [claim for claim in known if claim.study == name])
        lines += _by_camera(name, made)
    lines += _sharpened(records)
    lines += ["", "## Runs", "", *_table(RUN_HEAD, (_run(name, made) for name, made in records.items()))]
    for name in records:
        drawn = sorted((folder / FIGURES / name).glob("*"))
        lines += ["", f"## Figures of {name}", ""] if drawn else []
        lines += [f"![{path.stem}]({folder.name}/{FIGURES}/{name}/{path.name})" for path in drawn]
    return "\n".join(lines)


def write(folder: Path) -> Path:
    """Write the tables and figures into the page beside the folder, below what stands there by hand.

    Returns:
        The page, `folder` with the ending .md.

    Raises:
        DataError: It is missing, or has no heading `TABLES`.
    """
    target = folder.with_suffix(".md")
    text = target.read_text(encoding="utf-8") if target.is_file() else ""
    head, heading, _ = text.partition(f"{TABLES}\n")
    if not heading:
        raise DataError(f"{target} has no heading {TABLES!r}, below which the tables stand")
    with files.new_file(target) as partial:
        partial.write_text(f"{head}{heading}\n{tables(folder)}\n", encoding="utf-8")
    return target


def _table(head: Sequence[str], rows: Iterable[Iterable[str]]) -> list[str]:
    return [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {' | '.join(row)} |" for row in rows)]


def _measured(claim: Claim, records: Mapping[str, Reproduction]) -> list[str]:
    """A claim beside what was measured; empty if nothing was."""
    made = records.get(claim.study)
    cell = [trial for trial in made.trials if claim.made_by(trial)] if made else []
    measured = [(trial, value) for trial in cell if (value := claim.measured(trial)) is not None]
    if not made or not measured:
        return []
    trials, values = [trial for trial, _ in measured], [value for _, value in measured]
    digits = 2 if claim.value == "blocks_psnr" else 4 if mean(values) >= LITTLE else 5
    best = ranking.best_baseline(made.baselines)
    ours = next(_same_data(made, records), [])
    return [
        f"{claim.paper}: {claim.what}",
        _claimed(claim),
        _spread(values, f"{{:.{digits}f}}"),
        claims.verdict(claim, mean(values)),
        _spread([trial.scores[TEST] for trial in trials], "{:.2f}"),
        f"{made.identity[TEST]:.2f}",
        f"{made.baselines[best][TEST]:.2f} ({best})" if best else "-",
        _spread([trial.scores[TEST] for trial in ours], "{:.2f}") if ours else "not run",
        f"`{claim.study}`, {len(trials)}, {mean(trial.seconds for trial in trials):.0f} s",
    ]


def _missing(claim: Claim) -> tuple[str, ...]:
    return f"{claim.paper}: {claim.what}", _claimed(claim), claim.needs or "-", f"`{claim.study}`"


def _claimed(claim: Claim) -> str:
    return "-" if claim.claimed is None else f"{claim.claimed:g}"


def _run(study: str, made: Reproduction) -> tuple[str, ...]:
    precision = "/".join(sorted({trial.precision for trial in made.trials}))
    machine = ", ".join(f"{key} {value}" for key, value in made.machine.items())
    return study, made.date.isoformat(), f"`{made.command}`", f"{machine}, torch {made.versions.torch}, {precision}"


def _cells(made: Reproduction) -> list[list[ReproducedTrial]]:
    """The trials of a record by network, optimizer and loss, best validation PSNR first."""

    def cell(trial: ReproducedTrial) -> tuple[str, str, str]:
        return trial.model, trial.optimizer, trial.loss

    cells = [list(group) for _, group in groupby(sorted(made.trials, key=cell), key=cell)]
    return sorted(cells, key=lambda trials: -mean(trial.scores[VAL] for trial in trials))


def _ranking(study: str, made: Reproduction, known: Sequence[Claim]) -> Iterator[str]:
    """The cells of a study of several, by validation PSNR, beside what a paper claims of each."""
    cells = _cells(made)
    if len(cells) == 1:
        return
    losses = [claim for claim in known if claim.claimed and not claim.value.startswith("blocks")]
    of_cell = [next((claim for claim in losses if claim.made_by(trials[0])), None) for trials in cells]
    claimed = sorted(claim.claimed for claim in of_cell if claim and claim.claimed)
    rows = []
    for place, (trials, claim) in enumerate(zip(cells, of_cell, strict=True), start=1):
        first = trials[0]
        theirs = (
            [f"{claim.claimed:g}", str(claimed.index(claim.claimed) + 1)] if claim and claim.claimed else ["-", "-"]
        )
        spreads = [_spread([trial.scores[score] for trial in trials], "{:.2f}") for score in (VAL, TEST)]
        loss = _spread([trial.val_loss[-1] for trial in trials], "{:.5f}")
        rows.append([str(place), first.model, f"{first.optimizer}, {first.loss}", *spreads, loss, *theirs])
    yield from ("", f"## Ranking of {study}", "", *_table(RANKING_HEAD, rows))


def _by_camera(study: str, made: Reproduction) -> Iterator[str]:
    """What is reached on the test images of each camera: a mean over cameras hides the worst."""
    if not made.cameras:
        return
    best = ranking.best_baseline(made.baselines)
    rows = {"noisy input": ["identity"]} | ({best: [best]} if best else {})
    for cell in _cells(made):
        first = cell[0]
        rows[f"{first.model}: {first.optimizer}, {first.loss}"] = [trial.name for trial in cell]
    spreads = (
        [title, *(_spread([scores[name] for name in names], "{:.2f}") for scores in made.cameras.values())]
        for title, names in rows.items()
    )
    yield from ("", f"## Cameras of {study}", "", "PSNR of the test patches in dB.", "")
    yield from _table(("method", *made.cameras), spreads)


def _sharpened(records: Mapping[str, Reproduction]) -> Iterator[str]:
    """What sharpening does to the outputs of the best trial of each network."""
    rows = []
    for name, made in records.items():
        for trial, sharpened in made.sharpened.items():
            both = sharpened.before, sharpened.after
            rows.append([name, trial, *(f"{of[TEST]:.2f}" for of in both), *(f"{of[TEST_SSIM]:.3f}" for of in both)])
    if rows:
        yield from ("", "## Sharpened afterwards", "", *_table(SHARPENED_HEAD, rows))


def _same_data(made: Reproduction, records: Mapping[str, Reproduction]) -> Iterator[list[ReproducedTrial]]:
    """The seeds of the U-Net's best cell in each study on the same data."""
    for other in records.values():
        if other.data_sha256 == made.data_sha256:
            yield from (cell for cell in _cells(other) if cell[0].model == "unet")


def _spread(values: list[float], form: str) -> str:
    center = form.format(mean(values))
    several = len(values) > 1 and all(map(math.isfinite, values))
    return f"{center} ± {form.format(stdev(values))}" if several else center
