"""The report: one HTML file that holds everything it shows and loads nothing from elsewhere."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from degrain import figures, files
from degrain.artifacts.ranking import Ranking
from degrain.baselines import catalog as baselines
from degrain.evaluation import gate, ranking, scoring, summary
from degrain.metrics.base import Metric
from degrain.metrics.catalog import METRICS
from degrain.networks import catalog
from degrain.noise.base import Noise
from degrain.report import embedding, gallery, leaderboard
from degrain.report.embedding import data_uri
from degrain.report.material import Material
from degrain.studies import outlook
from degrain.studies.gallery import dotted
from degrain.trials import origins

# Errors are drawn as gray plus this many times the difference.
ERROR_GAIN = 4
# The table of images shows so many; the manifest has all.
SHOWN_IMAGES = 60
# So many trials without a result are named.
MOST_UNRANKED = 20
# The folder of figures, beside the page: what is too large for the page is a link to its file.
FIGURES = "figures"


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
    environment.filters["gain"] = _gain
    environment.filters["evidence"] = gate.evidence
    ranked = material.ranking
    best_baseline = ranking.best_baseline(ranked.baseline_scores)
    score = summary.headline(ranked.identity)
    trials = list(material.trials.values())
    photographs = sorted((material.examples / "photographs").glob("*"))
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
        models=[_model(material, name) for name in models],
        drawings=_embedded(drawn, ".svg", embedding.DRAWINGS),
        animations=_embedded(drawn, ".gif", embedding.ANIMATIONS),
        figures=FIGURES,
        heat_maps=any(name.endswith("-heat_map.svg") for name in drawn),
        thinned=_thinned(material),
        metrics={metric.name: metric for of_group in _columns(ranked).values() for metric in of_group.values()},
        most_unranked=MOST_UNRANKED,
        photographs=_photographs(photographs),
        all_photographs=len(photographs),
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


def _model(material: Material, name: str) -> dict[str, Any]:
    cells = [cell for cell in material.ranking.cells if cell.model == name]
    spec = catalog.spec(name)
    return {
        "name": name,
        "title": spec.title,
        "source": spec.source,
        "parameters": cells[0].parameters if cells else None,
    }


def _thinned(material: Material) -> int | None:
    """How many epochs of each trial the drawings of curves show at least, where that is not all."""
    curves = Counter(trial.model for trial in material.trials.values())
    shown = min(figures.epochs_drawn(count) for count in curves.values())
    return shown if any(len(history) > shown for history in material.histories.values()) else None


def _embedded(drawn: Mapping[str, bytes], suffix: str, budget: int) -> dict[str, str | None]:
    """The figures of one kind, by file name; None of the largest, where not all fit into the page."""
    kind = {".svg": "svg+xml", ".gif": "gif"}[suffix]
    names = sorted((name for name in drawn if name.endswith(suffix)), key=lambda name: len(drawn[name]))
    addresses = {name: data_uri(drawn[name], kind) for name in names}
    fit = names[: embedding.fitting(map(len, addresses.values()), budget)]
    return {name: address if name in fit else None for name, address in addresses.items()}


def _patches(material: Material, trials: list[str]) -> dict[str, Any]:
    """Rows of pictures: noisy and clean, then output and error of each trial, and its sharpened output."""
    rows: list[tuple[str, list[np.ndarray]]] = []
    strips = gallery.strips(material, trials)
    clean = strips[1][1]
    for name, pictures in strips:
        rows.append((name, pictures))
        if name in trials:
            rows.append(("its error", [_error(*both) for both in zip(pictures, clean, strict=True)]))
    columns = list(zip(*(pictures for _, pictures in rows), strict=True))
    sizes = [sum(len(data_uri(embedding.png(picture))) for picture in column) for column in columns]
    shown = max(min(len(columns), embedding.FEWEST_PATCHES), embedding.fitting(sizes, embedding.PATCHES))
    cut = embedding.within([picture for _, row in rows for picture in row[:shown]], embedding.PATCHES)
    addresses = iter(cut.addresses)
    return {
        "rows": [(name, list(itertools.islice(addresses, shown))) for name, _ in rows],
        "shown": shown,
        "all": len(columns),
        "cut": cut,
    }


def _error(output: np.ndarray, clean: np.ndarray) -> np.ndarray:
    difference = output.astype(np.float32) - clean.astype(np.float32)
    return np.clip(128 + ERROR_GAIN * difference, 0, 255).astype(np.uint8)


def _photographs(folders: Sequence[Path]) -> list[dict[str, Any]]:
    chosen = [folders[place] for place in figures.evenly(len(folders), embedding.MOST_PHOTOGRAPHS)]
    shown = []
    for place in chosen:
        names = ("noisy", "denoised", "clean")
        pictures = [gallery.read(place / f"{name}.png") for name in names]
        cut = embedding.within(pictures, embedding.PHOTOGRAPHS // len(chosen))
        height, width = pictures[0].shape[:2]
        shown.append(
            {"name": place.name, "width": width, "height": height, "cut": cut}
            | dict(zip(names, cut.addresses, strict=True))
        )
    return shown


def _images(material: Material) -> list[dict[str, Any]]:
    """The manifest's first images, what was flagged first, each with its side."""
    table = material.manifest.merge(material.sides[["path", "side"]], on="path", how="left")
    table = table.sort_values("quarantined", ascending=False, kind="stable").head(SHOWN_IMAGES)
    return [
        {str(key): None if pd.isna(value) else value for key, value in row.items()} for row in table.to_dict("records")
    ]


def _near_copies(material: Material) -> list[dict[str, Any]]:
    """Of the pairs that validate made pictures of those that fit into the page, with the side of each image."""
    side = dict(zip(material.sides["path"], material.sides["side"], strict=True))
    pictures = [data_uri(files.contents(picture)) for picture in sorted(material.near_copies.glob("*.png"))]
    fit = embedding.fitting(map(len, pictures), embedding.NEAR_COPIES)
    found = []
    for pair, picture in zip(material.validation.near_copies, pictures[:fit], strict=False):
        sides = [side.get(path, "quarantined") for path in (pair.first, pair.second)]
        found.append(pair.model_dump() | {"sides": sides, "picture": picture})
    return found


def _gain(name: str, scores: Mapping[str, float], against: Mapping[str, float]) -> str:
    """A gain for people, such as `+9.90 dB`."""
    metric = summary.metric_of(name)
    return f"{scores[name] - against[name]:+.{metric.digits}f} {metric.unit}".rstrip()


def _options(noise: Noise) -> str:
    """Noise as words: `gaussian, sigma 25`."""
    rest = {key: value for key, value in noise if key != "kind" and value is not None and value is not True}
    return ", ".join([noise.kind, *(f"{key} {_words(value)}" for key, value in rest.items())])


def _words(value: Any) -> str:
    return " to ".join(map(str, value)) if isinstance(value, tuple) else str(value)


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
