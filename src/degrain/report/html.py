"""The report: one HTML file that holds everything it shows and loads nothing from elsewhere."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from PIL import Image

from degrain import files
from degrain.artifacts.ranking import Ranking
from degrain.baselines import catalog as baselines
from degrain.evaluation import gate, ranking, scoring, summary
from degrain.metrics.base import Metric
from degrain.metrics.catalog import METRICS
from degrain.networks import catalog
from degrain.noise.base import Noise
from degrain.report import gallery, leaderboard
from degrain.report.material import Material
from degrain.studies import outlook
from degrain.studies.gallery import dotted
from degrain.trials import origins

# Errors are drawn as gray plus this many times the difference.
ERROR_GAIN = 4
# The table of images shows so many; the manifest has all.
SHOWN_IMAGES = 60


def render(material: Material, drawn: Mapping[str, bytes]) -> str:
    """Return the report as HTML text.

    Args:
        material: What it is made of.
        drawn: Its figures, see `degrain.report.gallery.draw`.
    """
    environment = Environment(
        loader=PackageLoader("degrain.report", "."),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["decibel"] = lambda value: f"{value:.2f}"
    environment.filters["score"] = summary.text
    environment.filters["evidence"] = gate.evidence
    ranked = material.ranking
    best_baseline = ranking.best_baseline(ranked.baseline_scores)
    score = summary.headline(ranked.identity)
    trials = list(material.trials.values())
    models = dict.fromkeys(trial.model for trial in trials)
    titles = {name: catalog.spec(name).title for name in models}
    return environment.get_template("template.html").render(
        material=material,
        champion=ranked.best,
        networks=ranked.cells,
        columns=_columns(ranked),
        decisive=scoring.DECISIVE,
        advice=_advice(material),
        headline=score,
        headline_words=summary.MEASURES[score],
        measures=summary.MEASURES,
        noise=_options(material.store.noise),
        truth=gallery.truth(ranked),
        images=_images(material),
        near_copies=_near_copies(material),
        references=_references(ranked, titles),
        cameras=_cameras(ranked, titles),
        titles=titles,
        best_baseline=baselines.BASELINES[best_baseline].title if best_baseline else None,
        best_baseline_scores=ranked.baselines[best_baseline].scores if best_baseline else {},
        leaderboard=leaderboard.sidd(material),
        models=[_model(material, name, drawn) for name in models],
        photographs=_photographs(material.examples / "photographs"),
        patches=_patches(material, [cell.best_trial for cell in ranking.best_of_models(ranked.cells)]),
        settings=_settings(material.shown.settings),
        commits=origins.commits(trials),
        machine=origins.machine(trials),
        machines=len({str(sorted(trial.origin.machine.items())) for trial in trials}),
        trained=origins.computed(trials) | origins.versions(trials),
        error_gain=ERROR_GAIN,
    )


def _advice(material: Material) -> str | None:
    """What to do if the best trial does not pass the gate."""
    if all(verdict.passed for verdict in material.gate):
        return None
    return outlook.advice(material.histories[material.ranking.champion], material.params)


def _references(ranked: Ranking, titles: dict[str, str]) -> list[dict[str, Any]]:
    """What stands beside the networks, best on the held-out data first."""
    rows = [
        {
            "name": baselines.BASELINES[name].title,
            "detail": ", ".join(f"{key} {value}" for key, value in baseline.settings.items()),
            "scores": baseline.scores,
        }
        for name, baseline in ranked.baselines.items()
    ]
    models = {cell.best_trial: cell.model for cell in ranked.cells}
    for trial, scores in ranked.sharpened.items():
        rows.append({"name": f"{titles[models[trial]]}, sharpened", "detail": trial, "scores": scores})
    rows.append({"name": "Noisy input", "detail": "", "scores": ranked.identity})
    return sorted(rows, key=lambda row: -float(row["scores"][summary.headline(row["scores"])]))


def _columns(ranked: Ranking) -> dict[str, dict[str, Metric]]:
    """The columns of the ranking table: for each group of held-out images the metrics that were measured, by mean."""
    columns = {
        summary.GROUPS[group]: {
            name: metric for metric in METRICS.values() if (name := summary.name(group, metric.name)) in ranked.identity
        }
        for group in ("test", "photograph")
    }
    return {title: metrics for title, metrics in columns.items() if metrics}


def _cameras(ranked: Ranking, titles: dict[str, str]) -> list[dict[str, Any]]:
    """What all but the sharpened outputs reach on each camera, the mean over seeds; empty for a single camera."""
    if not ranked.cameras:
        return []
    rows = [("Noisy input", "", ["identity"])]
    rows += [(baselines.BASELINES[name].title, "", [name]) for name in ranked.baselines]
    rows += [(titles[cell.model], f"{cell.optimizer}, {cell.loss}", cell.trials) for cell in ranked.cells]
    return [
        {
            "name": name,
            "detail": detail,
            "values": [mean(of[trial] for trial in trials) for of in ranked.cameras.values()],
        }
        for name, detail, trials in rows
    ]


def _model(material: Material, name: str, drawn: Mapping[str, bytes]) -> dict[str, Any]:
    cells = [cell for cell in material.ranking.cells if cell.model == name]
    spec = catalog.spec(name)
    heat_map, animation = drawn.get(f"{name}-heat_map.svg"), drawn.get(f"{name}-interpolation.gif")
    return {
        "title": spec.title,
        "source": spec.source,
        "parameters": cells[0].parameters if cells else None,
        "heat_map": Markup(heat_map.decode()) if heat_map else None,  # noqa: S704  (matplotlib escapes text)
        "curves": Markup(drawn[f"{name}-learning_curves.svg"].decode()),  # noqa: S704
        "animation": _embed(animation, "gif") if animation else None,
    }


def _patches(material: Material, trials: list[str]) -> list[tuple[str, list[str]]]:
    """Rows of pictures: noisy and clean, then output and error of each trial, and its sharpened output."""
    places = sorted((material.examples / "patches").iterdir())
    rows = []
    for name in gallery.strip_names(material, trials):
        label = gallery.truth(material.ranking) if name == "clean" else name
        rows.append((label, [_embed(files.contents(place / f"{name}.png")) for place in places]))
        if name in trials:
            rows.append(("its error", [_error(place, name) for place in places]))
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
        pictures = {name: _embed(files.contents(place / f"{name}.png")) for name in ("noisy", "denoised", "clean")}
        shown.append({"name": place.name, "width": width, "height": height, **pictures})
    return shown


def _images(material: Material) -> list[dict[str, Any]]:
    """The manifest's first images, what was flagged first, each with its side."""
    table = material.manifest.merge(material.sides[["path", "side"]], on="path", how="left")
    table = table.sort_values("quarantined", ascending=False, kind="stable").head(SHOWN_IMAGES)
    return [
        {str(key): None if pd.isna(value) else value for key, value in row.items()} for row in table.to_dict("records")
    ]


def _near_copies(material: Material) -> list[dict[str, Any]]:
    """The pairs that validate made pictures of, with the side of each."""
    side = dict(zip(material.sides["path"], material.sides["side"], strict=True))
    found = []
    for pair, picture in zip(material.validation.near_copies, sorted(material.near_copies.glob("*.png")), strict=False):
        sides = [side.get(path, "quarantined") for path in (pair.first, pair.second)]
        found.append(pair.model_dump() | {"sides": sides, "picture": _embed(files.contents(picture))})
    return found


def _options(noise: Noise) -> str:
    """Noise as words: `gaussian, sigma 25`."""
    rest = {key: value for key, value in noise if key != "kind" and value is not None and value is not True}
    return ", ".join([noise.kind, *(f"{key} {_words(value)}" for key, value in rest.items())])


def _words(value: Any) -> str:
    return " to ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _embed(picture: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


def _settings(settings: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [line for name, value in dotted(settings) for line in _lines(name, value)]


def _lines(name: str, value: Any) -> list[tuple[str, Any]]:
    """What a parameter is, for people: a line for each element of a list of settings, else one; none if it is empty."""
    if not isinstance(value, list):
        return [(name, value)] if value != {} else []
    if not value or not isinstance(value[0], dict):
        return [(name, ", ".join(map(str, value)))]
    settings = [", ".join(f"{key} {item}" for key, item in inner.items() if item not in (None, "")) for inner in value]
    return [(name, text) for text in settings]
