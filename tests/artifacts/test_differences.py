"""What records say of a parameter that a study has of another value: its whole name, as in params.yaml."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from degrain.artifacts.code import Code
from degrain.artifacts.source import AskedFiles
from degrain.artifacts.store import StoreRecord
from degrain.artifacts.trial import TrialSettings
from degrain.artifacts.validation import Asked
from degrain.declaration import deciding
from degrain.params.data import DataParams, ValidateParams
from degrain.params.prepare import PrepareParams
from degrain.params.results import EvaluateParams
from degrain.params.study import Params
from degrain.params.train import TrainParams
from tests.artifacts import records

OTHER = object()  # a value that no parameter has


def names(section: str, params: Any) -> set[str]:
    """All deciding parameters of a section."""
    return {f"{section}.{name}" for name in deciding(params)}


def store(params: Params) -> StoreRecord:
    return StoreRecord(
        schema_version=StoreRecord.VERSION,
        params=params.prepare,
        asked=Asked.of(params),
        code=Code(modules=[], sha256=""),
        manifest_sha256="",
        channels=3,
        light="srgb",
        counts={},
        leaks={},
        sha256="",
    )


IMAGES = names("data", DataParams) | names("validate", ValidateParams)
SHOWN = {"report.strips", "report.frames"}
# How a record of a study is made, which parameters it compares, and how.
COMPARED: dict[str, tuple[set[str], Callable[[Params, Params], list[str]]]] = {
    "source.json": (
        {f"data.{name}" for name in AskedFiles.model_fields},
        lambda made, asked: AskedFiles.of(made.data).differences(asked.data),
    ),
    "validation.json": (IMAGES, lambda made, asked: Asked.of(made).differences(asked)),
    "store.json": (
        IMAGES | {f"prepare.{name}" for name in PrepareParams.model_fields},
        lambda made, asked: store(made).differences(asked),
    ),
    "ranking.json": (
        names("evaluate", EvaluateParams) | SHOWN,
        lambda made, asked: records.ranking(
            records.cell(), params=made.evaluate, strips=made.report.strips, frames=made.report.frames
        ).differences(asked),
    ),
}


def changed(params: Params) -> Iterator[tuple[str, Params]]:
    """The study with each parameter of each section changed, and the parameter's whole name."""
    for field, declared in Params.model_fields.items():
        section = getattr(params, field)
        if field == "validation":
            assert declared.alias == "validate"
        for name in type(section).model_fields:
            other = params.model_copy(update={field: section.model_copy(update={name: OTHER})})
            yield f"{declared.alias or field}.{name}", other


@pytest.mark.parametrize("record", COMPARED)
def test_each_parameter_that_a_record_compares_has_its_whole_name(
    make_params: Callable[..., Params], record: str
) -> None:
    compared, differences = COMPARED[record]
    params = make_params()
    tried = set()
    for name, other in changed(params):
        assert differences(params, other) == ([name] if name in compared else []), name
        tried.add(name)
    assert compared <= tried
    assert differences(params, params) == []


def test_each_setting_of_a_trial_has_the_whole_name_of_its_parameter(make_params: Callable[..., Params]) -> None:
    known = {name for name, _ in changed(make_params())} | {"patch store"}
    made = records.trial()
    for name in set(TrialSettings.model_fields) - {"name", "training"}:
        (found,) = made.differences(made.model_copy(update={name: OTHER}))
        assert found in known, name
    for name in deciding(TrainParams):
        assert made.differences(made.model_copy(update={"training": made.training | {name: OTHER}})) == [
            f"train.{name}"
        ]
        assert f"train.{name}" in known
