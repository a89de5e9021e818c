"""What papers claim against what their studies measure here.

docs/reproductions/claims.yaml holds the claims, docs/reproductions/<study>.json what the last recorded run of a study
measured; the page is made of both.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import mean, stdev
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from degrain import environment, files
from degrain.errors import DataError, ParamsError
from degrain.params import Params
from degrain.params.base import Section
from degrain.trials.records import DONE, read_histories, read_trials

CLAIMS = "claims.yaml"
HEAD = (
    "paper and network",
    "claimed",
    "measured",
    "verdict",
    "PSNR: network",
    "noisy input",
    "best classical",
    "our U-Net",
    "study, seeds, time",
)


class Claim(Section):
    """One number of a paper.

    Attributes:
        paper, what: For the table.
        study: Of conf/study.
        model, loss: The cell that claims it.
        value: The validation loss after an epoch, or the least up to it.
        epoch: Which one, from 1.
        claimed: The paper's number; None where it gives none.
        within: What counts as the same: least and most.
        about: What else one must know, in a sentence.
    """

    paper: str
    what: str
    study: str
    model: str
    loss: str
    value: Literal["val_loss", "best_val_loss"]
    epoch: int
    claimed: float | None = None
    within: tuple[float, float] | None = None
    about: str = ""


def record(params: Params, trials: Path, metrics: Path, folder: Path) -> Path:
    """Write down what the last run of a study measured.

    Args:
        params: The study.
        trials: Folder with its trials.
        metrics: Its numbers, results/metrics.json.
        folder: Where records lie.

    Returns:
        The record.

    Raises:
        DataError: The study has not run to its end.
    """
    if not metrics.is_file():
        raise DataError(f"{metrics} is missing: run dvc repro first")
    numbers = files.read_json(metrics)
    found = [trial for trial in read_trials(trials, params.train.models) if trial["state"] == DONE]
    histories = read_histories(trials, found)
    kept = ("model", "optimizer", "loss", "seed", "epochs_done", "precision", "seconds", "parameters")
    rows = [
        {name: trial[name] for name in kept}
        | {"val_loss": [round(loss, 7) for loss in histories[trial["name"]]["val_loss"]]}
        | numbers["trials"][trial["name"]]
        for trial in found
    ]
    content = {
        "study": params.study.name,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": f"dvc exp run -S study={params.study.name}",
        "machine": environment.describe_machine(),
        "versions": {name: environment.versions()[name] for name in ("torch", "degrain")},
        "trials": rows,
        "identity": numbers["identity"],
        "baselines": numbers["baselines"],
    }
    files.write_json(folder / f"{params.study.name}.json", content)
    return folder / f"{params.study.name}.json"


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
        raise ParamsError(f"{folder / CLAIMS}: {error}") from error


def page(folder: Path) -> str:
    """Return the tables as Markdown: claimed against measured, and what was measured where."""
    records = {path.stem: files.read_json(path) for path in sorted(folder.glob("*.json"))}
    known = claims(folder)
    lines = [f"| {' | '.join(HEAD)} |", f"|{'---|' * len(HEAD)}"]
    lines += [f"| {' | '.join(_row(claim, records))} |" for claim in known]
    lines += ["", "| study | date | command | machine |", "|---|---|---|---|"]
    for name, made in records.items():
        machine = ", ".join(f"{key} {value}" for key, value in made["machine"].items())
        lines.append(
            f"| {name} | {made['date']} | `{made['command']}` | {machine}, torch {made['versions']['torch']} |"
        )
    lines += ["", *(f"- {claim.paper}, {claim.what}: {claim.about}" for claim in known if claim.about)]
    return "\n".join(lines)


def _row(claim: Claim, records: Mapping[str, dict[str, Any]]) -> Iterator[str]:
    yield f"{claim.paper}: {claim.what}"
    yield "-" if claim.claimed is None else f"{claim.claimed:g}"
    made = records.get(claim.study)
    if made is None:
        yield from ("not run", "not run", *["-"] * 4, f"`{claim.study}`")
        return
    trials = [trial for trial in made["trials"] if (trial["model"], trial["loss"]) == (claim.model, claim.loss)]
    losses = [trial["val_loss"][: claim.epoch] for trial in trials if len(trial["val_loss"]) >= claim.epoch]
    if not losses:
        yield from ("not done", "not done", *["-"] * 4, f"`{claim.study}`")
        return
    values = [history[-1] if claim.value == "val_loss" else min(history) for history in losses]
    yield _spread(values, "{:.4f}")
    yield verdict(claim, mean(values))
    yield _spread([trial["test_psnr"] for trial in trials], "{:.2f}")
    yield f"{made['identity']['test_psnr']:.2f}"
    best, name = max((numbers["test_psnr"], name) for name, numbers in made["baselines"].items())
    yield f"{best:.2f} ({name})"
    ours = [trial["test_psnr"] for source in _same_data(claim.study, records) for trial in source]
    yield _spread(ours, "{:.2f}") if ours else "not run"
    yield f"`{claim.study}`, {len(trials)}, {mean(trial['seconds'] for trial in trials):.0f} s"


def verdict(claim: Claim, measured: float) -> str:
    """Say whether a number comes out."""
    if claim.within is None:
        return "no claim"
    least, most = claim.within
    if least <= measured <= most:
        return "comes out"
    return "lower" if measured < least else "higher"


def _same_data(study: str, records: Mapping[str, dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """The U-Net's trials of a study, and of the one beside it on the same data."""
    for name in (study, f"{study}-unet"):
        if name in records:
            yield [trial for trial in records[name]["trials"] if trial["model"] == "unet"]


def _spread(values: list[float], form: str) -> str:
    if len(values) == 1:
        return form.format(values[0])
    return f"{form.format(mean(values))} ± {form.format(stdev(values))}"
