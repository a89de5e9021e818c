"""Tags of the champion that anybody may have changed in MLflow: none ends in a traceback, none makes it unbeatable."""

from __future__ import annotations

import logging
from collections.abc import Callable
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
from degrain.registry import aliases, loading, publishing, registering, tags, tracking
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
# The tags that are read back.
READ = (tags.WEIGHTS, tags.KEY, tags.PACKAGE)
SCORES = {"test_psnr": 99.0, "photograph_psnr": 98.0, "test_ssim": 0.9}


pytestmark = pytest.mark.usefixtures("project")


def make_candidate(folder: Path, seed: int) -> registering.Candidate:
    """An untrained network with scores that were not measured."""
    torch.manual_seed(seed)
    folder.mkdir()
    save_file(catalog.build("machinecurve2019", 3, 32).state_dict(), folder / WEIGHTS)
    trial = records.trial(model="machinecurve2019", key=f"key{seed}", sha256={WEIGHTS: files.sha256(folder / WEIGHTS)})
    trial.write(folder / TRIAL)
    records.package(folder)
    return registering.Candidate(trial, folder, SCORES, "")


def set_tag(client: Any, version: Any, name: str, value: str | None) -> None:
    if value is None:
        client.delete_model_version_tag(version.name, version.version, name)
    else:
        client.set_model_version_tag(version.name, version.version, name, value)


@pytest.mark.parametrize("tag", READ)
def test_a_broken_tag_of_the_champion_is_one_line_and_no_obstacle(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, tag: str
) -> None:
    old, new = make_candidate(tmp_path / "old", 0), make_candidate(tmp_path / "new", 1)
    with tracking.connect() as client:
        run = client.create_run(tracking.experiment(client, "tiny")).info.run_id
        source = publishing.log_model(client, run, old.folder, old.trial, {})
        version = aliases.register(client, "tiny", source, run, tags.written(old.trial, SCORES, "0" * 64, old.folder))
        client.set_registered_model_alias("tiny", aliases.CHAMPION, version.version)

        def usable() -> bool:
            holder = registering._holder(client, "tiny", new)
            return holder is not None and holder.trial is not None

        whole = version.tags[tag]
        assert usable()
        for value in BROKEN:
            set_tag(client, version, tag, value)
            caplog.clear()
            with caplog.at_level(logging.WARNING):
                assert not usable()
            (said,) = [record.getMessage() for record in caplog.records]
            assert said.startswith("the present champion cannot be used, and nothing is compared with it: ")
            assert tag in said
            assert "version 1 of tiny" in said
            assert said.isprintable()
            with pytest.raises(RegistryError, match=tag), loading.folder_of("models:/tiny@champion", tmp_path):
                pass
            set_tag(client, version, tag, whole)
        assert usable()


def test_the_champion_is_measured_whatever_its_tags_say(
    tmp_path: Path, store: PatchStore, make_params: Callable[..., Params]
) -> None:
    params, old = make_params(train={"device": "cpu"}), make_candidate(tmp_path / "old", 0)
    conditions = protocol.conditions(torch.device("cpu"))
    with tracking.connect() as client:
        run = client.create_run(tracking.experiment(client, "tiny")).info.run_id
        source = publishing.log_model(client, run, old.folder, old.trial, {})
        digest = protocol.digest(old.trial.model, store.sha256, params.evaluate, conditions)
        version = aliases.register(client, "tiny", source, run, tags.written(old.trial, SCORES, digest, old.folder))
        rival = registering._rival(version, store, params, conditions)
    assert rival.name == "the champion, version 1"
    assert summary.summarize(rival.scores)[rival.name]["test_psnr"] < 50
