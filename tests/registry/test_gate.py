"""What the gate decides, case by case on a real MLflow: it is recorded, and told with scores and reasons."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from degrain import files
from degrain.artifacts.registration import Registration
from degrain.artifacts.scores import Measured, Scores
from degrain.artifacts.trial import TRIAL, WEIGHTS
from degrain.errors import Unseen
from degrain.evaluation import gate, protocol
from degrain.evaluation.results import Results
from degrain.networks import catalog
from degrain.params.study import Params
from degrain.patches.store import PatchStore
from degrain.registry import aliases, decision, promotion, registering, tags, tracking
from tests.artifacts import records
from tests.registry import grids
from tests.registry.test_following import Server

MODEL = "machinecurve2019"


@pytest.fixture(autouse=True)
def workspace(project: Path) -> None:
    Path("figures").mkdir()


@pytest.fixture
def register(
    store: PatchStore, make_params: Callable[..., Params], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Registration]:
    """Register a study of one trial, whose weights follow its seed, with scores that were not measured."""
    reached: dict[str, float] = {}

    def rival(holder: Any, *_: Any) -> gate.Rival:
        name = f"the champion, version {holder.version}"
        return gate.Rival(name, table(name, reached[holder.tags[tags.KEY]]), 0.0)

    monkeypatch.setattr(registering, "_rival", rival)
    params = make_params(train={"device": "cpu"}, register={"gate": {"min_gain": 0.5}})
    conditions = protocol.conditions(torch.device("cpu"))
    how = protocol.digest(MODEL, store.sha256, params.evaluate, conditions)

    def run(seed: int, psnr: float, identity: float = 20.0) -> Registration:
        name = f"{MODEL}-adam-mse"
        folder = Path("trials") / MODEL / name
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(seed)
        save_file(catalog.build(MODEL, 3, 32).state_dict(), folder / WEIGHTS)
        sha256 = {WEIGHTS: files.sha256(folder / WEIGHTS)}
        trial = records.trial(model=MODEL, name=name, key=f"key{seed}", sha256=sha256)
        trial.write(folder / TRIAL)
        records.package(folder)
        ranked = records.ranking(records.cell(model=MODEL, psnr=psnr), identity=records.scores(identity))
        grid = grids.grid(trial, records.scores(psnr), ranked)
        measured = Scores(
            schema_version=Scores.VERSION,
            data_sha256=store.sha256,
            table_sha256="t" * 64,
            conditions=conditions,
            methods={name: Measured(model=MODEL, trial_key=trial.key, protocol=how)},
        )
        reached[trial.key] = psnr
        scores = pd.concat([table(name, psnr), table("identity", identity)])
        return registering.register(
            grid, params, store, folder, Results(scores, measured, ranked), Path("promotions.jsonl")
        )

    return run


def table(method: str, psnr: float) -> pd.DataFrame:
    """Scores of a patch of each of two sources."""
    rows = {"method": method, "split": "test", "item": "patch", "unit": ["a", "b"], "metric": "psnr", "value": psnr}
    return pd.DataFrame(rows)


def break_tag(version: str) -> None:
    with tracking.connect() as client:
        client.set_model_version_tag("tiny", version, tags.WEIGHTS, "abc")


def told(made: Registration) -> tuple[Any, ...]:
    return made.decision, made.before, made.version, bool(made.unusable), len(made.refused)


def test_a_refused_version_is_registered_once_and_again_where_it_was_measured_otherwise(
    register: Callable[..., Registration],
) -> None:
    def said(version: str) -> str:
        with tracking.connect() as client:
            return str(client.get_model_version("tiny", version).description)

    assert told(register(0, 20.4)) == ("refused", None, "1", False, 1)
    assert "| not beaten |" in said("1")
    assert "Mean over patches or whole photographs, as in metrics, tags and lineage: 20.40 dB on test patches." in said(
        "1"
    )
    assert "| rival | this version to the rival, mean over sources |" in said("1")
    assert told(register(0, 20.4, identity=10.0)) == ("first", None, "1", False, 0)
    assert "| beaten |" in said("1")
    assert told(register(1, 20.4)) == ("refused", "1", "2", False, 2)
    with tracking.connect() as client:
        assert aliases.number(aliases.current(client, "tiny", aliases.CHALLENGER)) == "2"
    assert told(register(1, 20.5)) == ("refused", "1", "3", False, 1)
    assert told(register(1, 30.0)) == ("promoted", "1", "4", False, 0)
    with tracking.connect() as client:
        assert aliases.current(client, "tiny", aliases.CHALLENGER) is None, "its weights are the champion's"


def test_every_decision_is_recorded_and_told(
    register: Callable[..., Registration], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    name = f"{MODEL}-adam-mse"

    made = register(0, 20.4)
    assert told(made) == ("refused", None, "1", False, 1)
    assert decision.comparisons(made) == [
        f"{name} against the noisy input: 20.40 dB to 20.00 on test patches (+0.40; 2 sources: too few "
        "for an interval, 2 won); more than 0.5 dB needed: "
        "not passed"
    ]
    assert decision.conclusion(made) == (
        f"{name} is not promoted: 20.40 dB on test patches does not beat the noisy input (20.00 dB) by 0.5 dB "
        "(+0.40; 2 sources: too few for an interval, 2 won); tiny has no champion"
    )

    with tracking.connect() as client:
        about = client.get_registered_model("tiny").description
    assert about == 'The best trials of the study "Tiny \\<study\\> \\& test".'

    made = register(1, 30.0)
    assert told(made) == ("first", None, "2", False, 0)
    assert decision.conclusion(made) == f"{name} is the first champion, version 2 of tiny: it beats every rival"

    made = register(1, 30.0)
    assert told(made) == ("same weights", "2", "2", False, 0)
    assert decision.conclusion(made) == f"{name} already was the champion, version 2 of tiny: the same weights"

    made = register(1, 30.0, identity=40.0)
    assert told(made) == ("same weights", "2", "2", False, 1)
    assert decision.conclusion(made).endswith(
        "the same weights; the gate would refuse it today: 30.00 dB on test patches does not beat the noisy input "
        "(40.00 dB) by 0.5 dB (-10.00; 2 sources: too few for an interval, 0 won)"
    )

    made = register(2, 29.0)
    assert told(made) == ("refused", "2", "3", False, 1)
    assert decision.comparisons(made)[-1] == (
        f"{name} against the champion, version 2: 29.00 dB to 30.00 on test patches (-1.00; 2 sources: "
        "too few for an interval, 0 won); more than 0 dB needed: "
        "not passed"
    )
    assert decision.conclusion(made) == (
        f"{name} is not promoted: 29.00 dB on test patches does not beat the champion, version 2 (30.00 dB) "
        "(-1.00; 2 sources: too few for an interval, 0 won); version 2 of tiny stays the champion"
    )

    made = register(3, 31.0)
    assert told(made) == ("promoted", "2", "4", False, 0)
    assert decision.conclusion(made) == (
        f"{name} is the champion, version 4 of tiny: it beats every rival, and the champion before, version 2 of tiny"
    )

    break_tag("4")
    made = register(4, 10.0)
    assert told(made) == ("refused", "4", "5", True, 1)
    assert "; version 4 of tiny stays the champion, and cannot be used (version 4 of tiny has the tag " in (
        decision.conclusion(made)
    )
    made = register(4, 30.5)
    assert told(made) == ("unopposed", "4", "6", True, 0)
    assert "the champion before, version 4 of tiny, could not be compared (version 4 of tiny has the tag " in (
        decision.conclusion(made)
    )
    assert all(line.isprintable() for line in [*decision.comparisons(made), decision.conclusion(made)])


# ---- an artifact store that is away ---------------------------------------------------------------------------------


@pytest.fixture(params=["folder", pytest.param("server", marks=pytest.mark.slow)])
def artifacts(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the files of versions lie: on this machine, or behind MLflow's own server."""
    if request.param == "folder":
        yield Path(".degrain/mlflow/artifacts")
        return
    server = Server(tmp_path)
    server.start()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    yield tmp_path / "artifacts"
    server.stop()


def champion() -> str | None:
    with tracking.connect() as client:
        return aliases.number(aliases.current(client, "tiny"))


def lose_files(artifacts: Path, version: str) -> None:
    with tracking.connect() as client:
        run, _, place = client.get_model_version("tiny", version).source.partition("/artifacts/model/")
    shutil.rmtree(next(artifacts.glob(f"*/{Path(run).name}/artifacts/model/{place}")))


def test_nothing_is_promoted_while_the_artifact_store_is_away(
    register: Callable[..., Registration], artifacts: Path
) -> None:
    register(0, 30.0)
    assert told(register(1, 31.0)) == ("promoted", "1", "2", False, 0)
    artifacts.rename("away")
    # Each publishes its runs into the empty folder before it looks at the champion.
    for seed in (2, 2, 3):
        with pytest.raises(Unseen, match=r"^version 2 of tiny cannot be looked at: .* may be away.*; bring it back"):
            register(seed, 29.0)
    with tracking.connect() as client, pytest.raises(Unseen, match=r"^version 1 of tiny cannot be looked at"):
        promotion.roll_back(client, "tiny", "in a hurry")
    assert champion() == "2"
    shutil.rmtree(artifacts)
    Path("away").rename(artifacts)
    assert told(register(2, 29.0)) == ("refused", "2", "3", False, 1)
    lose_files(artifacts, "2")
    assert told(register(2, 29.0)) == ("unopposed", "2", "3", True, 0)


@pytest.mark.parametrize("artifacts", ["folder"], indirect=True)
def test_the_only_version_is_replaced_by_a_person_where_its_files_are_lost(
    register: Callable[..., Registration], artifacts: Path
) -> None:
    register(0, 30.0)
    lose_files(artifacts, "1")
    with pytest.raises(
        Unseen, match=r"; bring it back, or, if the files are lost, delete the version in MLflow, then "
    ):
        register(0, 30.0)
    with tracking.connect() as client:
        client.delete_model_version("tiny", "1")
    assert told(register(0, 30.0)) == ("first", None, "2", False, 0)


@pytest.mark.parametrize("artifacts", ["folder"], indirect=True)
def test_a_person_promotes_what_can_be_read_over_a_champion_that_cannot(
    register: Callable[..., Registration], artifacts: Path
) -> None:
    register(0, 30.0)
    register(1, 31.0)
    lose_files(artifacts, "2")
    with tracking.connect() as client:
        assert promotion.by_hand(client, "tiny", "1", "version 2 is lost") == "2"
    assert champion() == "1"
