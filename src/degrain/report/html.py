"""The report: one HTML file that holds everything it shows and loads nothing from elsewhere."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from PIL import Image

from degrain.evaluation import baselines, ranking
from degrain.models import catalog
from degrain.report import figures, leaderboard

# Errors are drawn as gray plus this many times the difference.
ERROR_GAIN = 4
# The table of images shows so many; the manifest has all.
SHOWN_IMAGES = 60


@dataclass(frozen=True)
class Material:
    """Everything the report is made of.

    Attributes:
        title: Of the study.
        params: The study as loaded, for the table of settings.
        ranking: What evaluate wrote: champion, cells, identity, baselines, unranked.
        histories: For each trial, its history.
        trials: For each trial, its trial.json.
        manifest: One row per image.
        validation: What validate wrote.
        store: What prepare wrote: counts, leaks, patch size, noise.
        sides: One row per image that was used: path, source, side.
        examples: Folder with the pictures that evaluate wrote.
        docs: For each suite the address of its page in the Data Docs, relative to the report.
        machine, versions: Where it was computed, and with what.
        made: Date and commit.
    """

    title: str
    params: dict[str, Any]
    ranking: dict[str, Any]
    histories: dict[str, pd.DataFrame]
    trials: dict[str, dict[str, Any]]
    manifest: pd.DataFrame
    validation: dict[str, Any]
    store: dict[str, Any]
    sides: pd.DataFrame
    examples: Path
    docs: dict[str, str]
    machine: dict[str, str]
    versions: dict[str, str]
    made: dict[str, str]


def render(material: Material) -> str:
    """Return the report as HTML text."""
    environment = Environment(
        loader=PackageLoader("degrain.report", "."),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["decibel"] = lambda value: f"{value:.2f}"
    cells = material.ranking["cells"]
    score = ranking.headline(material.ranking["identity"])
    models = list(dict.fromkeys(trial["model"] for trial in material.trials.values()))
    return environment.get_template("template.html").render(
        material=material,
        champion=next(cell for cell in cells if cell["best_trial"] == material.ranking["champion"]),
        networks=cells,
        headline=score,
        headline_words=ranking.MEASURES[score],
        noise=_options(material.store["noise"]),
        images=_images(material),
        references=_references(material.ranking),
        titles={name: catalog.spec(name).title for name in models},
        best_baseline=_best_baseline(material.ranking),
        leaderboard=leaderboard.sidd(material, _best_baseline(material.ranking)),
        models=[_model(material, name) for name in models],
        photographs=_photographs(material.examples / "photographs"),
        patches=_patches(material.examples / "patches", [cell["best_trial"] for cell in ranking.best_of_models(cells)]),
        settings=list(_flat("", material.params)),
        error_gain=ERROR_GAIN,
    )


def _references(ranked: dict[str, Any]) -> list[dict[str, Any]]:
    """What the networks have to beat: classical denoisers and the noisy input, best on the held-out data first."""
    rows = [
        {
            "name": baselines.BASELINES[name].title,
            "detail": ", ".join(f"{key} {value}" for key, value in values["settings"].items()),
            **values,
        }
        for name, values in ranked["baselines"].items()
    ]
    rows.append({"name": "Noisy input", "detail": "", **ranked["identity"]})
    return sorted(rows, key=lambda row: -float(row[ranking.headline(row)]))


def _best_baseline(ranked: dict[str, Any]) -> dict[str, Any] | None:
    if not ranked["baselines"]:
        return None
    name, values = max(ranked["baselines"].items(), key=lambda item: float(item[1][ranking.headline(item[1])]))
    return {"title": baselines.BASELINES[name].title, **values}


def _model(material: Material, name: str) -> dict[str, Any]:
    trials = [trial for trial in material.trials.values() if trial["model"] == name]
    cells = [cell for cell in material.ranking["cells"] if cell["model"] == name]
    labels = {trial["name"]: trial["name"].removeprefix(f"{name}-") for trial in trials}
    curves = {labels[trial]: material.histories[trial] for trial in labels if len(material.histories[trial])}
    spec = catalog.spec(name)
    return {
        "name": name,
        "title": spec.title,
        "source": spec.source,
        "parameters": cells[0]["parameters"] if cells else None,
        "heat_map": Markup(figures.heat_map(cells, trials)) if cells else None,  # noqa: S704
        "curves": Markup(  # noqa: S704  (drawn by matplotlib, which escapes text)
            figures.learning_curves(curves, {labels[trial["name"]]: trial for trial in trials})
        ),
    }


def _patches(folder: Path, trials: list[str]) -> list[tuple[str, list[str]]]:
    """Rows of pictures: noisy and clean, then output and error of each trial."""
    places = sorted(folder.iterdir())

    def row(name: str) -> list[str]:
        return [_embed((place / f"{name}.png").read_bytes()) for place in places]

    rows = [("noisy", row("noisy")), ("clean", row("clean"))]
    for trial in trials:
        rows += [(trial, row(trial)), ("its error", [_error(place, trial) for place in places])]
    return rows


def _error(place: Path, trial: str) -> str:
    output = np.asarray(Image.open(place / f"{trial}.png"), dtype=np.float32)
    clean = np.asarray(Image.open(place / "clean.png"), dtype=np.float32)
    buffer = io.BytesIO()
    Image.fromarray(np.clip(128 + ERROR_GAIN * (output - clean), 0, 255).astype(np.uint8)).save(buffer, format="PNG")
    return _embed(buffer.getvalue())


def _photographs(folder: Path) -> list[dict[str, Any]]:
    shown = []
    for place in sorted(folder.glob("*")):
        with Image.open(place / "clean.png") as image:
            width, height = image.size
        pictures = {name: _embed((place / f"{name}.png").read_bytes()) for name in ("noisy", "denoised", "clean")}
        shown.append({"name": place.name, "width": width, "height": height, **pictures})
    return shown


def _images(material: Material) -> list[dict[str, Any]]:
    """The manifest's first images, what was flagged first, each with its side."""
    table = material.manifest.merge(material.sides[["path", "side"]], on="path", how="left")
    table = table.sort_values("quarantined", ascending=False, kind="stable").head(SHOWN_IMAGES)
    return [
        {str(key): None if pd.isna(value) else value for key, value in row.items()} for row in table.to_dict("records")
    ]


def _options(described: dict[str, Any]) -> str:
    """A mapping with a kind as words: `gaussian, sigma 25`."""
    rest = {key: value for key, value in described.items() if key != "kind" and value not in (None, True)}
    return ", ".join([described["kind"], *(f"{key} {_words(value)}" for key, value in rest.items())])


def _words(value: Any) -> str:
    return " to ".join(map(str, value)) if isinstance(value, list) else str(value)


def _embed(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _flat(path: str, value: Any) -> Any:
    """Yield (dotted name, value) of every parameter."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(f"{path}.{key}" if path else str(key), inner)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for inner in value:
            yield path, ", ".join(f"{key} {item}" for key, item in inner.items() if item not in (None, ""))
    else:
        yield path, ", ".join(map(str, value)) if isinstance(value, list) else value
