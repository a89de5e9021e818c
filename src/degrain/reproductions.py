"""What papers claim against what their studies measure here.

docs/reproductions/claims.yaml holds the claims, docs/reproductions/<study>.json what the last recorded run of a study
measured, docs/reproductions/figures/<study>/ its figures; the page is made of all three.
"""

from __future__ import annotations

import datetime
import math
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from statistics import mean, stdev
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from degrain import environment, files
from degrain.errors import DataError, ParamsError
from degrain.evaluation import ranking
from degrain.images.store import PatchStore
from degrain.params import Params, gallery
from degrain.params.base import Section
from degrain.trials import of_study
from degrain.trials.records import DONE, WEIGHTS, read_histories

CLAIMS = "claims.yaml"
FIGURES = "figures"
# Figures that are kept with a record, by the end of their names: none that shows images of a data set.
KEPT_FIGURES = ("learning_curves.svg", "heat_map.svg")
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
# On the page, all below this line is generated.
TABLES = "## Claimed and measured"
RUN_HEAD = ("study", "date", "command", "machine")
SHARPENED_HEAD = ("study", "trial", "PSNR test", "PSNR sharpened", "SSIM test", "SSIM sharpened")
# Losses below this are shown with a digit more.
LITTLE = 0.1
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


class Claim(Section):
    """One number of a paper.

    Attributes:
        paper, what: For the table.
        study: Of conf/study.
        model, optimizer, loss: The cell that claims it; the optimizer may be left out where the study has one.
        value: The validation loss after an epoch, the least up to it, or PSNR or SSIM on the validation blocks of SIDD,
            which `degrain sidd-validation` measures.
        epoch: Which one, from 1.
        claimed: The paper's number; None where it gives none.
        within: What counts as the same: least and most.
        needs: What a run needs that was not at hand, for a cell that has no record.
        about: What else one must know, in a sentence.
    """

    paper: str
    what: str
    study: str
    model: str
    optimizer: str | None = None
    loss: str
    value: Literal["val_loss", "best_val_loss", "blocks_psnr", "blocks_ssim"]
    epoch: int
    claimed: float | None = None
    within: tuple[float, float] | None = None
    needs: str = ""
    about: str = ""

    def made_by(self, trial: Mapping[str, Any]) -> bool:
        """Tell whether a trial is of the cell that claims this."""
        same = (trial["model"], trial["loss"]) == (self.model, self.loss)
        return same and self.optimizer in (None, trial["optimizer"])

    def measured(self, trial: Mapping[str, Any]) -> float | None:
        """Return what a trial of the cell has for it, None if it did not get so far or was not measured."""
        if self.value.startswith("blocks"):
            blocks = trial.get("blocks")
            return float(blocks["denoised"][self.value.removeprefix("blocks_")]) if blocks else None
        losses: list[float] = trial["val_loss"][: self.epoch]
        if len(losses) < self.epoch:
            return None
        return losses[-1] if self.value == "val_loss" else min(losses)


def record(
    params: Params,
    store: PatchStore,
    trials: Path,
    metrics: Path,
    figures: Path,
    folder: Path,
    blocks: Sequence[Path] = (),
) -> Path:
    """Write down what the last run of a study measured, and keep its figures.

    Args:
        params: The study.
        store: Its prepared data.
        trials: Folder with its trials.
        metrics: Its numbers, results/metrics.json.
        figures: Folder with its figures, results/figures.
        folder: Where records lie.
        blocks: What `degrain sidd-validation --json` has written of some of its trials.

    Returns:
        The record.

    Raises:
        DataError: The study has not run to its end, what lies there is of another one, or it has no trial with the
            weights that were measured on blocks.
    """
    for needed in (metrics, figures):
        if not needed.exists():
            raise DataError(f"{needed} is missing: run dvc repro first")
    found = [trial for trial in of_study.read(trials, params, store) if trial["state"] == DONE]
    numbers = files.read_json(metrics)
    if set(numbers["trials"]) != {trial["name"] for trial in found}:
        raise DataError(f"{metrics} is of other trials than those in {trials}: run dvc repro first")
    on_blocks = _on_blocks(blocks, found)
    histories = read_histories(trials, found)
    kept = ("name", "model", "optimizer", "loss", "seed", "epochs_done", "precision", "seconds", "parameters")
    rows = [
        {name: trial[name] for name in kept}
        | {"val_loss": [round(loss, 7) for loss in histories[trial["name"]]["val_loss"]]}
        | numbers["trials"][trial["name"]]
        | ({"blocks": on_blocks[trial["name"]]} if trial["name"] in on_blocks else {})
        for trial in found
    ]
    content = {
        "study": params.study.name,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": gallery.command(params),
        "machine": environment.describe_machine(),
        "versions": {"torch": found[0]["torch"], "degrain": environment.versions()["degrain"]},
        "data_sha256": store.sha256,
        "trials": rows,
        "identity": numbers["identity"],
        "baselines": numbers["baselines"],
        "cameras": numbers.get("cameras", {}),
        "sharpened": {
            trial: [numbers["trials"][trial], sharp] for trial, sharp in numbers.get("sharpened", {}).items()
        },
    }
    with files.new_folder(folder / FIGURES / params.study.name) as kept_figures:
        for path in sorted(figures.iterdir()):
            if path.name.endswith(KEPT_FIGURES):
                shutil.copyfile(path, kept_figures / path.name)
    files.write_json(folder / f"{params.study.name}.json", content)
    return folder / f"{params.study.name}.json"


def _on_blocks(measured: Sequence[Path], trials: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What was measured on the validation blocks of SIDD, by the name of the trial whose weights it was measured of."""
    names = {trial["sha256"][WEIGHTS]: trial["name"] for trial in trials}
    found = {}
    for path in measured:
        if not path.is_file():
            raise DataError(f"{path} is missing; to make it: degrain sidd-validation --json {path}")
        content = files.read_json(path)
        if not isinstance(content, dict) or not {"weights", "blocks", "denoised"} <= set(content):
            raise DataError(f"{path} is not what degrain sidd-validation --json writes")
        if content["weights"] not in names:
            raise DataError(f"{path} is of weights that no trial of the study has")
        found[names[content["weights"]]] = content
    return found


def claims(folder: Path) -> list[Claim]:
    """Read the claims.

    Raises:
        ParamsError: The file is missing, or an entry of it is wrong.
    """
    import yaml

    try:
        return TypeAdapter(list[Claim]).validate_python(yaml.safe_load((folder / CLAIMS).read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ParamsError(f"{folder / CLAIMS} is missing") from None
    except (ValidationError, yaml.YAMLError) as error:
        raise ParamsError(f"{folder / CLAIMS}: {' '.join(str(error).split())}") from error


def page(folder: Path) -> str:
    """Return the tables and figures as Markdown: claimed against measured, what was not run, rankings, runs."""
    records = {path.stem: files.read_json(path) for path in sorted(folder.glob("*.json"))}
    known = claims(folder)
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
        partial.write_text(f"{head}{heading}\n{page(folder)}\n", encoding="utf-8")
    return target


def _table(head: Sequence[str], rows: Iterable[Iterable[str]]) -> list[str]:
    return [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {' | '.join(row)} |" for row in rows)]


def _measured(claim: Claim, records: Mapping[str, dict[str, Any]]) -> list[str]:
    """A claim beside what was measured; empty if nothing was."""
    made = records.get(claim.study, {"trials": []})
    cell = [trial for trial in made["trials"] if claim.made_by(trial)]
    measured = [(trial, value) for trial in cell if (value := claim.measured(trial)) is not None]
    if not measured:
        return []
    trials, values = [trial for trial, _ in measured], [value for _, value in measured]
    digits = 2 if claim.value == "blocks_psnr" else 4 if mean(values) >= LITTLE else 5
    best = ranking.best_baseline(made["baselines"])
    ours = next(_same_data(claim.study, records), [])
    return [
        f"{claim.paper}: {claim.what}",
        _claimed(claim),
        _spread(values, f"{{:.{digits}f}}"),
        verdict(claim, mean(values)),
        _spread([trial["test_psnr"] for trial in trials], "{:.2f}"),
        f"{made['identity']['test_psnr']:.2f}",
        f"{made['baselines'][best]['test_psnr']:.2f} ({best})" if best else "-",
        _spread([trial["test_psnr"] for trial in ours], "{:.2f}") if ours else "not run",
        f"`{claim.study}`, {len(trials)}, {mean(trial['seconds'] for trial in trials):.0f} s",
    ]


def _missing(claim: Claim) -> tuple[str, ...]:
    return f"{claim.paper}: {claim.what}", _claimed(claim), claim.needs or "-", f"`{claim.study}`"


def _claimed(claim: Claim) -> str:
    return "-" if claim.claimed is None else f"{claim.claimed:g}"


def _run(study: str, made: Mapping[str, Any]) -> tuple[str, ...]:
    precision = "/".join(sorted({trial["precision"] for trial in made["trials"]}))
    machine = ", ".join(f"{key} {value}" for key, value in made["machine"].items())
    return study, made["date"], f"`{made['command']}`", f"{machine}, torch {made['versions']['torch']}, {precision}"


def _cells(made: Mapping[str, Any]) -> list[list[dict[str, Any]]]:
    """The trials of a record by network, optimizer and loss, best validation PSNR first."""

    def cell(trial: Mapping[str, Any]) -> tuple[str, str, str]:
        return trial["model"], trial["optimizer"], trial["loss"]

    cells = [list(group) for _, group in groupby(sorted(made["trials"], key=cell), key=cell)]
    return sorted(cells, key=lambda trials: -mean(trial["val_psnr"] for trial in trials))


def _ranking(study: str, made: Mapping[str, Any], known: Sequence[Claim]) -> Iterator[str]:
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
        spreads = [_spread([trial[score] for trial in trials], "{:.2f}") for score in ("val_psnr", "test_psnr")]
        loss = _spread([trial["val_loss"][-1] for trial in trials], "{:.5f}")
        rows.append([str(place), first["model"], f"{first['optimizer']}, {first['loss']}", *spreads, loss, *theirs])
    yield from ("", f"## Ranking of {study}", "", *_table(RANKING_HEAD, rows))


def _by_camera(study: str, made: Mapping[str, Any]) -> Iterator[str]:
    """What is reached on the test images of each camera: a mean over cameras hides the worst."""
    cameras = made.get("cameras", {})
    if not cameras:
        return
    best = ranking.best_baseline(made["baselines"])
    rows = {"noisy input": ["identity"]} | ({best: [best]} if best else {})
    for cell in _cells(made):
        first = cell[0]
        rows[f"{first['model']}: {first['optimizer']}, {first['loss']}"] = [trial["name"] for trial in cell]
    spreads = (
        [title, *(_spread([scores[name] for name in names], "{:.2f}") for scores in cameras.values())]
        for title, names in rows.items()
    )
    yield from ("", f"## Cameras of {study}", "", "PSNR of the test patches in dB.", "")
    yield from _table(("method", *cameras), spreads)


def _sharpened(records: Mapping[str, dict[str, Any]]) -> Iterator[str]:
    """What sharpening does to the outputs of the best trial of each network."""
    rows = [
        [name, trial, *(f"{of['test_psnr']:.2f}" for of in both), *(f"{of['test_ssim']:.3f}" for of in both)]
        for name, made in records.items()
        for trial, both in made.get("sharpened", {}).items()
    ]
    if rows:
        yield from ("", "## Sharpened afterwards", "", *_table(SHARPENED_HEAD, rows))


def verdict(claim: Claim, measured: float) -> str:
    """Say whether a number comes out."""
    if not math.isfinite(measured):
        return "not finite"
    if claim.within is None:
        return "no claim"
    least, most = claim.within
    if least <= measured <= most:
        return "comes out"
    return "lower" if measured < least else "higher"


def _same_data(study: str, records: Mapping[str, dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """The seeds of the U-Net's best cell in each study on the same data."""
    data = records[study]["data_sha256"]
    for made in records.values():
        if made["data_sha256"] == data:
            yield from (cell for cell in _cells(made) if cell[0]["model"] == "unet")


def _spread(values: list[float], form: str) -> str:
    center = form.format(mean(values))
    several = len(values) > 1 and all(map(math.isfinite, values))
    return f"{center} ± {form.format(stdev(values))}" if several else center
