"""What is shown of how a trial was trained comes from its record: the study may say something else by now."""

from __future__ import annotations

import re
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from degrain.artifacts.trial import TrialRecord
from degrain.declaration import deciding, described, sections
from degrain.params.study import Params, load_params
from degrain.registry import tracking
from degrain.stages import REGISTRATION, REPORT, register, report
from tests.artifacts import records
from tests.conftest import merged

# Other values than those of the tiny study, of every parameter that only says how something is computed.
HOW: dict[str, list[Any]] = {
    "train.precision": ["float32", "bfloat16"],
    "train.device": ["cpu", "cuda"],
    "train.retries": [77],
    "train.on_failure": ["stop"],
    "train.checkpoint_seconds": [77.5],
    "evaluate.tile": [777],
}
# What the tiny study has none of.
ELSEWHERE = {"train.losses.clip", "train.losses.terms.clip"}
GRID = {"train.models", "train.optimizers", "train.losses", "train.pairs", "train.seeds"}


def how(section: type[BaseModel], path: str = "") -> Iterator[str]:
    """The parameters that decide nothing, by their dotted names."""
    inner = sections(section)
    for name, field in section.model_fields.items():
        key = field.alias or name
        if name not in deciding(section):
            yield f"{path}{key}"
        for kind in inner.get(key, ()):
            yield from how(kind, f"{path}{key}.")


def changed(name: str, value: object) -> Params:
    section, _, key = name.partition(".")
    plain = load_params().model_dump(mode="json", by_alias=True)
    return Params.model_validate(merged(plain, {section: {key: value}}))


def published() -> list[tuple[dict[str, str], dict[str, str]]]:
    """Parameters and tags of every run in MLflow, without those that MLflow makes up."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own
        with tracking.connect() as client:
            runs = client.search_runs([tracking.experiment(client, "tiny")])
    told = [
        (run.data.params, {name: value for name, value in run.data.tags.items() if not name.startswith("mlflow.")})
        for run in runs
    ]
    return sorted(told, key=str)


def test_every_parameter_that_decides_nothing_is_changed_here() -> None:
    assert set(how(Params)) - GRID == set(HOW) | ELSEWHERE


def test_a_section_is_described_without_what_decides_nothing(make_params: Callable[..., Params]) -> None:
    params = make_params(train={"losses": [{"name": "bce", "clip": True}, "mae"]}, validate={"min_std": 3})
    found = described(params)
    assert [set(loss) & {"name", "clip"} for loss in found["train"]["losses"]] == [{"name"}, {"name"}]
    plain = params.model_dump(mode="json", by_alias=True)
    assert found["validate"] == plain["validate"]
    assert plain["train"].keys() - found["train"].keys() == {name.split(".")[1] for name in HOW if "train" in name}


@pytest.mark.slow
def test_what_was_changed_after_the_training_is_shown_nowhere(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = TrialRecord.read(next(workspace.glob("data/trials/unet/*/trial.json"))).place
    report.run(load_params())
    register.run(load_params())
    page, told = REPORT.read_text(), published()
    assert f'<th scope="row">precision</th><td class="text">{place.precision}</td>' in page
    assert f'<th scope="row">device</th><td class="text">{place.device}</td>' in page
    assert {params["precision"] for params, _ in told if params} == {place.precision}
    kept = REGISTRATION.read_text()
    for name, values in HOW.items():
        for value in values:
            other = changed(name, value)
            assert other != load_params()
            report.run(other)
            assert REPORT.read_text() == page, name
            register.run(other)
            assert REGISTRATION.read_text() == kept, name
    monkeypatch.setenv("DEGRAIN_HOME", "another-registry")
    every = merged(
        load_params().model_dump(mode="json", by_alias=True),
        {
            section: {name.split(".")[1]: values[-1] for name, values in HOW.items() if name.startswith(section)}
            for section in ("train", "evaluate")
        },
    )
    register.run(Params.model_validate(every))
    assert published() == told


def test_trials_of_several_commits_and_machines_are_told_apart(workspace: Path) -> None:
    one, *others = sorted(workspace.glob("data/trials/*/*/trial.json"))
    old = TrialRecord.read(others[0]).origin
    machine = old.machine | {"processor": "<another>", "cores": "99"}
    records.rewrite(one, origin={"commit": "0ld", "degrain": "0.0.1", "machine": machine})
    report.run(load_params())
    page = REPORT.read_text()
    assert f"trained at commit {old.commit} (3 trials), 0ld (1 trial).</p>" in page
    assert "4 trials on 2 machines, trained" in re.sub(r"<[^>]*>", "", page)
    processors = r".* \(3 trials\), &lt;another&gt; \(1 trial\)"
    assert re.search(rf'<th scope="row">processor</th><td class="text">{processors}</td>', page)
    assert f'<th scope="row">degrain</th><td class="text">{old.degrain} (3 trials), 0.0.1 (1 trial)</td>' in page
    shutil.rmtree(workspace / ".degrain" / "mlflow")
    register.run(load_params())
    commits = {(bool(params), tags["degrain.commit"]) for params, tags in published()}
    assert commits == {(True, "0ld"), (True, old.commit), (False, f"{old.commit} (3 trials), 0ld (1 trial)")}
