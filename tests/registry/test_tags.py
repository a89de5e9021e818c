"""Tags of the champion that anybody may have changed in MLflow: none ends in a traceback, none makes it unbeatable."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from degrain import files
from degrain.artifacts.trial import TRIAL, WEIGHTS
from degrain.errors import RegistryError
from degrain.evaluation import protocol, summary
from degrain.networks import catalog
from degrain.params.study import Params
from degrain.patches.store import PatchStore
from degrain.registry import loading, promotion, publishing, registering, tags, tracking
from tests.artifacts import records

# What a tag may hold that degrain never wrote; None is no tag.
BROKEN = [
    None,
    "",
    " ",
    "abc",
    "nan",
    "inf",
    "-1e999",
    "1e300",
    "-3",
    "true",
    "null",
    "[30.0]",
    '{"psnr": 30}',
    "\x1b[31m",
]
# The tags that are read back, and whether the champion is still compared without them.
READ = {
    tags.WEIGHTS: False,
    tags.KEY: False,
    tags.PROTOCOL: True,
    **{tags.score(measure): True for measure in summary.MEASURES},
}
SCORES = {"test_psnr": 99.0, "photograph_psnr": 98.0, "test_ssim": 0.9}


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own
        yield


def make_candidate(folder: Path, seed: int) -> registering.Candidate:
    """An untrained network with scores that were not measured."""
    torch.manual_seed(seed)
    folder.mkdir()
    save_file(catalog.build("machinecurve2019", 3, 32).state_dict(), folder / WEIGHTS)
    trial = records.trial(model="machinecurve2019", key=f"key{seed}", sha256={WEIGHTS: files.sha256(folder / WEIGHTS)})
    trial.write(folder / TRIAL)
    return registering.Candidate(trial, folder, SCORES, "")


def set_tag(client: Any, version: Any, name: str, value: str | None) -> None:
    if value is None:
        client.delete_model_version_tag(version.name, version.version, name)
    else:
        client.set_model_version_tag(version.name, version.version, name, value)


@pytest.mark.parametrize(("tag", "compared"), READ.items())
def test_a_broken_tag_of_the_champion_is_one_line_and_no_obstacle(
    tmp_path: Path,
    store: PatchStore,
    make_params: Callable[..., Params],
    caplog: pytest.LogCaptureFixture,
    tag: str,
    compared: bool,
) -> None:
    params = make_params(train={"device": "cpu"})
    conditions = protocol.conditions(torch.device("cpu"))
    old, new = make_candidate(tmp_path / "old", 0), make_candidate(tmp_path / "new", 1)
    digest = protocol.digest(old.trial.model, store.sha256, params.evaluate, conditions)
    with tracking.connect() as client:
        run = client.create_run(tracking.experiment(client, "tiny")).info.run_id
        source = publishing.log_model(client, run, old.folder, old.trial)
        version = promotion.register(client, "tiny", source, run, tags.written(old.trial, SCORES, digest))
        client.set_registered_model_alias("tiny", promotion.ALIAS, version.version)

        def rival(judged: registering.Candidate) -> promotion.Rival | None:
            holder = registering._holder(client, "tiny", judged)
            if holder is None or holder.trial is None:
                return None
            return registering._rival(holder.version, holder.trial, judged, store, params, conditions)

        whole = version.tags[tag]
        trusted = rival(new)
        assert trusted is not None
        assert trusted.scores == {measure: SCORES[measure] for measure in summary.MEASURES}
        for value in BROKEN:
            set_tag(client, version, tag, value)
            caplog.clear()
            with caplog.at_level(logging.WARNING):
                found = rival(new)
            (said,) = [record.getMessage() for record in caplog.records]
            assert tag in said
            assert "version 1 of tiny" in said
            assert said.isprintable()
            assert (found is not None) == compared
            if found is not None:
                assert said.endswith("; its scores are measured again")
                assert all(0 < found.scores[measure] < 50 for measure in summary.MEASURES), "measured, not believed"
            else:
                assert said.startswith("the present champion cannot be used, and nothing is compared with it: ")
                with pytest.raises(RegistryError, match=tag), loading.folder_of("models:/tiny@champion", tmp_path):
                    pass
            set_tag(client, version, tag, whole)
        assert rival(new) == trusted


@pytest.mark.parametrize("tag", [tags.score(measure) for measure in summary.MEASURES] + [tags.SEAL])
def test_a_score_that_was_changed_is_measured_again(
    tmp_path: Path,
    store: PatchStore,
    make_params: Callable[..., Params],
    caplog: pytest.LogCaptureFixture,
    tag: str,
) -> None:
    params, old = make_params(train={"device": "cpu"}), make_candidate(tmp_path / "old", 0)
    conditions = protocol.conditions(torch.device("cpu"))
    digest = protocol.digest(old.trial.model, store.sha256, params.evaluate, conditions)
    with tracking.connect() as client:
        run = client.create_run(tracking.experiment(client, "tiny")).info.run_id
        source = publishing.log_model(client, run, old.folder, old.trial)
        promotion.register(client, "tiny", source, run, tags.written(old.trial, SCORES, digest) | {tag: "3.25"})
        version = client.get_model_version("tiny", "1")
        with caplog.at_level(logging.WARNING):
            found = registering._rival(version, loading.proven(client, version), old, store, params, conditions)
    assert found.scores["test_psnr"] < 50
    assert caplog.messages == [
        "the scores among the tags of version 1 of tiny were changed; its scores are measured again"
    ]


def test_scores_of_another_protocol_are_not_taken_from_tags(
    tmp_path: Path, store: PatchStore, make_params: Callable[..., Params], caplog: pytest.LogCaptureFixture
) -> None:
    """Which is no mistake, so that nothing is said."""
    old = make_candidate(tmp_path / "old", 0)
    with tracking.connect() as client:
        run = client.create_run(tracking.experiment(client, "tiny")).info.run_id
        source = publishing.log_model(client, run, old.folder, old.trial)
        version = promotion.register(client, "tiny", source, run, tags.written(old.trial, SCORES, "0" * 64))
        trial = loading.proven(client, version)
        conditions = protocol.conditions(torch.device("cpu"))
        with caplog.at_level(logging.WARNING):
            found = registering._rival(version, trial, old, store, make_params(train={"device": "cpu"}), conditions)
    assert found.scores["test_psnr"] < 50
    assert caplog.messages == []
