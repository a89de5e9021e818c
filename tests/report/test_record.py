"""report.json: a report is known again by all that it shows and by what it is made of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from degrain.artifacts.report import ReportRecord, Shown
from degrain.errors import DataError
from degrain.params.study import Params
from degrain.patches.store import PatchStore
from degrain.report import shown
from tests.artifacts import records

OTHER: list[tuple[str, str, Any]] = [
    ("study", "name", "other"),
    ("study", "title", "Another question"),
    ("report", "strips", 4),
    ("report", "frames", 7),
    ("report", "loss_scale", "linear"),
    ("report", "published", "other.json"),
]


@pytest.fixture
def made(store: PatchStore, make_params: Callable[..., Params]) -> Callable[..., Shown]:
    """What a report shows of one trial, with changes to the study or to what came of it."""

    def of(trial: Any = None, ranked: Any = None, validation: Any = None, **change: Any) -> Shown:
        trials = [records.trial(**(trial or {}))]
        validated = records.validation(**(validation or {}))
        ranking = records.ranking(records.cell(), **(ranked or {}))
        return shown.of(make_params(**change), validated, store, trials, ranking)

    return of


@pytest.fixture
def report(tmp_path: Path, made: Callable[..., Shown]) -> Callable[[Shown], None]:
    """Check a report that lies on the disk against what it is to show."""
    page, figures, path = tmp_path / "report.html", tmp_path / "figures", tmp_path / "report.json"
    page.write_text("<html>")
    figures.mkdir()
    ReportRecord.of(made(), page, figures).write(path)
    return lambda asked: ReportRecord.check(path, asked, page, figures)


def test_it_names_the_study_and_all_that_the_page_shows_of_it(made: Callable[..., Shown]) -> None:
    settings = made(report={"published": "papers/curves.json"}).settings
    assert settings["study"] == {"name": "tiny", "title": "Tiny <study> & test"}
    assert settings["report"]["loss_scale"] == "log"  # type: ignore[index, call-overload]
    assert settings["report"]["published"] == "papers/curves.json"  # type: ignore[index, call-overload]


def test_every_parameter_of_the_study_and_of_the_report_is_changed_here(make_params: Callable[..., Params]) -> None:
    plain = make_params().model_dump(mode="json")
    assert {(section, key) for section in ("study", "report") for key in plain[section]} == {one[:2] for one in OTHER}


@pytest.mark.parametrize(("section", "key", "value"), OTHER)
def test_a_report_with_other_parameters_is_refused_by_their_names(
    made: Callable[..., Shown], report: Callable[[Shown], None], section: str, key: str, value: Any
) -> None:
    report(made())
    with pytest.raises(
        DataError, match=rf"made with another {section}.{key} than the study has; run: dvc repro report$"
    ):
        report(made(**{section: {key: value}}))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"trial": {"seconds": 9.0}}, "does not report the present trials"),
        ({"trial": {"training": {"epochs": 4}}}, "made with another train.batch_size and train.epochs than"),
        ({"validation": {"images": 7}}, "does not report the present validation; run: dvc repro report$"),
        ({"ranked": {"champion": "other"}}, "does not report the present ranking"),
    ],
)
def test_a_report_of_other_results_is_refused(
    made: Callable[..., Shown], report: Callable[[Shown], None], change: dict[str, Any], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        report(made(**change))


def test_a_report_of_other_published_curves_is_refused(
    tmp_path: Path, made: Callable[..., Shown], monkeypatch: pytest.MonkeyPatch
) -> None:
    change = {"report": {"published": "curves.json"}}
    mirror, page, path = tmp_path / "mirror", tmp_path / "report.html", tmp_path / "report.json"
    mirror.mkdir()
    page.write_text("<html>")

    (mirror / "curves.json").write_text("{}")
    monkeypatch.setenv("DEGRAIN_MIRROR", str(mirror))
    figures = tmp_path / "figures"
    figures.mkdir()
    ReportRecord.of(made(**change), page, figures).write(path)

    def checked() -> None:
        ReportRecord.check(path, made(**change), page, figures)

    checked()
    (mirror / "curves.json").write_text('{"adam mse": {"val": [1]}}')
    with pytest.raises(DataError, match=r"shows other published curves than the mirror has; run: dvc repro -f -s rep"):
        checked()
    monkeypatch.delenv("DEGRAIN_MIRROR")
    checked()
