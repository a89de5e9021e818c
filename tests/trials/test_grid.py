"""The grid: the same bits every time, nothing trained twice, one bad cell alone."""

from __future__ import annotations

import importlib.metadata
import json
import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from degrain.artifacts import history
from degrain.artifacts.trial import TRIAL, Place, TrialRecord
from degrain.errors import OutputError, ParamsError, Stopped, TrainingError
from degrain.losses.sum import Sum
from degrain.optimizers.adam import Adam
from degrain.params.study import Params
from degrain.patches.store import PatchStore
from degrain.training.trial import Trial, chosen, expand
from degrain.trials import grid, listing, of_study, work
from degrain.trials.ledger import Busy, Ledger
from tests.trials.conftest import CPU, weights

Make = Callable[..., list[Trial]]


def test_the_grid_is_every_optimizer_with_every_loss_and_seed(make_trials: Make) -> None:
    names = [trial.name for trial in make_trials(losses=["mse", "mae"], seeds=[0, 1])]
    assert len(set(names)) == len(names) == 8
    assert "unet-adadelta-mae-seed1" in names


def test_the_grid_is_the_pairs_of_a_study_that_names_some(make_trials: Make) -> None:
    trials = make_trials(losses=["mse", "mae"], seeds=[0, 1], pairs=["adadelta-mae", "adam-mse"])
    assert [trial.name for trial in trials] == [
        "unet-adam-mse-seed0",
        "unet-adam-mse-seed1",
        "unet-adadelta-mae-seed0",
        "unet-adadelta-mae-seed1",
    ]


def test_a_model_that_is_not_in_the_study_is_refused(make_params: Callable[..., Params]) -> None:
    with pytest.raises(ParamsError, match=r"not in train\.models"):
        expand(make_params().train, "bernier2021")


def test_training_gives_the_same_bits_alone_and_side_by_side(
    store: PatchStore, trials: list[Trial], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, cores in (("alone", "1"), ("together", "2")):
        monkeypatch.setenv("DEGRAIN_THREADS", cores)
        grid.run(trials, store, CPU, Ledger(tmp_path / name / "ledger"), tmp_path / name / "out")
    assert len(weights(tmp_path / "alone" / "out")) == 2
    assert weights(tmp_path / "alone" / "out") == weights(tmp_path / "together" / "out")


def test_training_in_this_process_gives_the_same_bits(store: PatchStore, trials: list[Trial], tmp_path: Path) -> None:
    here, apart = Ledger(tmp_path / "here"), Ledger(tmp_path / "apart")
    grid.fill_here(trials[:1], store, CPU, here)
    assert [path.name for path in here.folder.glob("*") if path.is_dir()] == [work.key_of(trials[0], store, CPU)]
    grid.run(trials, store, CPU, here, tmp_path / "out", in_process=True)
    grid.run(trials, store, CPU, apart, tmp_path / "out apart")
    assert len(weights(tmp_path / "out")) == 2
    assert weights(tmp_path / "out") == weights(tmp_path / "out apart")


def test_an_error_in_this_process_is_not_caught_and_counts_as_no_failure(
    store: PatchStore, trials: list[Trial], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, key = Ledger(tmp_path / "ledger"), work.key_of(trials[0], store, CPU)
    with monkeypatch.context() as patch:
        patch.setattr(work.loop, "train", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            grid.fill_here(trials[:1], store, CPU, ledger)
    assert ledger.failures(key) == []
    with ledger.claimed(key), pytest.raises(TrainingError, match="another process is training unet-adam-mse"):
        grid.fill_here(trials[:1], store, CPU, ledger)
    grid.fill_here(trials[:1], store, CPU, ledger)
    assert ledger.find(key)


def test_one_trial_is_chosen_by_its_name(trials: list[Trial]) -> None:
    assert chosen(trials, "") == trials
    assert chosen(trials, trials[1].name) == trials[1:]
    with pytest.raises(ParamsError, match="--trial: no trial 'unet-adm-mse' in this study; did you mean 'unet-adam-ms"):
        chosen(trials, "unet-adm-mse")


def test_done_trials_are_taken_from_the_ledger(store: PatchStore, trials: list[Trial], tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    grid.run(trials[:1], store, CPU, ledger, tmp_path / "out")
    entry = ledger.folder / work.key_of(trials[0], store, CPU)
    before = json.loads((entry / "trial.json").read_text()), weights(tmp_path / "out")
    grid.run(trials, store, CPU, ledger, tmp_path / "out")
    assert json.loads((entry / "trial.json").read_text()) == before[0]
    assert weights(tmp_path / "out").items() > before[1].items()
    assert not list(ledger.folder.glob("*.unfinished"))


def test_the_key_changes_with_everything_that_decides_the_result(
    store: PatchStore, trials: list[Trial], make_trials: Make
) -> None:
    trial, place = trials[0], Place(device="cpu")
    keys = [trial.key(store, place), trials[1].key(store, place)]
    changes: list[dict[str, Any]] = [
        {"epochs": 3},
        {"batch_size": 5},
        {"accumulate": 2},
        {"clip_norm": 1.0},
        {"schedule": "constant"},
        {"schedule": "step"},
        {"schedule": "step", "step_epochs": 3},
        {"schedule": "step", "step_epochs": [3, 5]},
        {"warmup_steps": 7},
        {"ema": 0.9},
        {"keep": "best"},
        {"patience": 3},
        {"augment": "none"},
        {"deterministic": False},
        {"threads": 2},
        {"losses": ["mae"]},
        {"losses": [{"name": "sum", "terms": [{"name": "mse"}, {"name": "mae"}]}]},
        {"optimizers": [{"name": "adam", "preset": "keras"}]},
        {"optimizers": [{"name": "adam", "lr": 0.5}]},
    ]
    keys += [make_trials(**change)[0].key(store, place) for change in changes]
    keys += [replace(trial, model="sinha2018").key(store, place), replace(trial, seed=1).key(store, place)]
    keys += [
        trial.key(store, Place.model_validate({"device": "cpu"} | other))
        for other in ({"device": "cuda"}, {"precision": "bfloat16"}, {"world": 2})
    ]
    assert len(set(keys)) == len(keys) == 26


def test_the_key_does_not_change_with_what_decides_nothing(
    store: PatchStore, trials: list[Trial], make_trials: Make
) -> None:
    changes: list[dict[str, Any]] = [
        {"device": "cpu"},
        {"retries": 5},
        {"checkpoint_seconds": 1},
        {"on_failure": "stop"},
        {"step_epochs": 3},
        {"seeds": [0, 1]},
        {"pairs": ["adam-mse"]},
        {"optimizers": [{"name": "adam", "label": "another-name"}]},
        {"losses": [{"name": "mse", "label": "another-name"}]},
    ]
    for change in changes:
        assert make_trials(**change)[0].key(store, Place(device="cpu")) == trials[0].key(store, Place(device="cpu"))


def test_a_trial_that_diverges_is_recorded_and_takes_no_other_with_it(
    store: PatchStore, make_trials: Make, tmp_path: Path
) -> None:
    trials = make_trials(optimizers=["adam", {"name": "adam", "label": "wild", "lr": 1e30}])
    grid.run(trials, store, CPU, Ledger(tmp_path / "ledger"), tmp_path / "trials" / "unet")
    states = {trial.name: trial for trial in of_study.read_all(tmp_path / "trials", ["unet"])}
    assert states["unet-adam-mse"].state == "done"
    assert states["unet-wild-mse"].state == "diverged"
    assert "the loss became" in states["unet-wild-mse"].reason
    assert list(weights(tmp_path / "trials")) == ["unet-adam-mse"]


def crashing(job: work.Job, *told: Any) -> None:
    """Train, but for Adadelta, which meets a bug, or kills its process."""
    if job.trial.optimizer.name == "adadelta":
        with (job.ledger.folder / "attempts").open("a") as file:
            file.write("x")
        if job.trial.params.retries > 1:
            os.kill(os.getpid(), signal.SIGKILL)
        raise ZeroDivisionError("a bug")
    work.train(job, *told)


@pytest.mark.parametrize(("retries", "reason"), [(1, "ZeroDivisionError: a bug"), (2, "killed by SIGKILL")])
def test_a_trial_that_fails_is_tried_again_then_given_up_and_takes_no_other_with_it(
    store: PatchStore, make_trials: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, retries: int, reason: str
) -> None:
    ledger = Ledger(tmp_path / "ledger")
    ledger.folder.mkdir()
    trials = make_trials(retries=retries, losses=["mse", "mae"])
    monkeypatch.setattr(grid, "train", crashing)
    recorded = {trial.name: trial for trial in grid.run(trials, store, CPU, ledger, tmp_path / "out")}
    assert {name: trial.state for name, trial in recorded.items()} == {
        "unet-adam-mse": "done",
        "unet-adam-mae": "done",
        "unet-adadelta-mse": "failed",
        "unet-adadelta-mae": "failed",
    }
    bad = recorded["unet-adadelta-mse"]
    assert f"given up after {retries + 1} failures" in bad.reason
    assert reason in bad.reason
    assert len(bad.failures) == retries + 1
    assert len((ledger.folder / "attempts").read_text()) == 2 * (retries + 1)
    assert pd.read_csv(tmp_path / "out" / "unet-adadelta-mse" / "history.csv").empty
    # It was given up: asking again costs nothing.
    assert grid.run(trials, store, CPU, ledger, tmp_path / "out") == [recorded[trial.name] for trial in trials]
    assert len((ledger.folder / "attempts").read_text()) == 2 * (retries + 1)


def dying_afterwards(*told: Any) -> None:
    """Train, and then die in a way that looks like a failure."""
    work.train_claimed(*told, work.ALONE)
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_dies_after_its_work_is_no_failure(
    store: PatchStore, trials: list[Trial], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grid, "train", dying_afterwards)
    recorded = grid.run(trials, store, CPU, Ledger(tmp_path / "ledger"), tmp_path / "out")
    assert [trial.state for trial in recorded] == ["done", "done"]
    assert len(weights(tmp_path / "out")) == 2


def terminated_once(job: work.Job, *told: Any) -> None:
    """Train, but for the first time, when somebody ends this process politely."""
    mark = job.ledger.folder / f"{job.trial.name}.mark"
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGTERM)
    work.train(job, *told)


def test_a_worker_that_somebody_ended_is_started_again(
    store: PatchStore, trials: list[Trial], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grid, "train", terminated_once)
    ledger = Ledger(tmp_path / "ledger")
    ledger.folder.mkdir()
    recorded = grid.run(trials, store, CPU, ledger, tmp_path / "out")
    assert [(trial.state, trial.failures) for trial in recorded] == [("done", [])] * 2


def test_trials_that_are_reused_take_the_names_of_the_study(
    store: PatchStore, make_trials: Make, tmp_path: Path
) -> None:
    ledger = Ledger(tmp_path / "ledger")
    for label in ("old", "new"):
        optimizer, loss = ({"name": name, "label": f"{label}-{name}"} for name in ("adam", "mse"))
        trials = make_trials(optimizers=[optimizer], losses=[loss])
        (recorded,) = grid.run(trials, store, CPU, ledger, tmp_path / "out")
        assert (recorded.optimizer, recorded.loss) == (f"{label}-adam", f"{label}-mse")
    assert len([path for path in ledger.folder.iterdir() if path.is_dir()]) == 1


def test_cleaning_removes_what_is_old_and_nothing_else_of_the_trial(
    store: PatchStore, trials: list[Trial], tmp_path: Path
) -> None:
    ledger = Ledger(tmp_path / "ledger")
    grid.run(trials[:1], store, CPU, ledger, tmp_path / "out")
    key = work.key_of(trials[0], store, CPU)
    damaged = ledger.folder / f"{key}.damaged"
    damaged.mkdir()
    os.utime(damaged, (0, 0))
    assert [(row.folder, row.state) for row in listing.clean(ledger, 30, dry=False)] == [(damaged.name, "damaged")]
    assert not damaged.exists()
    assert [(row.key, row.state) for row in listing.rows(ledger)] == [(key, "done")]
    assert ledger.find(key)


@pytest.mark.parametrize(
    ("version", "told"),
    [(None, ("?", "damaged")), (1, ("unet-adam-mse", "outdated")), (99, ("unet-adam-mse", "outdated"))],
)
def test_entries_of_another_schema_version_are_listed_and_not_used(
    store: PatchStore,
    trials: list[Trial],
    tmp_path: Path,
    version: int | None,
    told: tuple[str, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    ledger = Ledger(tmp_path / "ledger")
    grid.run(trials[:1], store, CPU, ledger, tmp_path / "out")
    key = work.key_of(trials[0], store, CPU)
    (ledger.folder / "0ld.unfinished").mkdir()
    for path in (ledger.folder / key / TRIAL, ledger.folder / "0ld.unfinished" / TRIAL):
        content = json.loads((ledger.folder / key / TRIAL).read_text()) | {"schema_version": version}
        path.write_text(json.dumps({name: value for name, value in content.items() if value is not None}))
    found = {row.folder: (row.name, row.state) for row in listing.rows(ledger)}
    assert found == dict.fromkeys((key, "0ld.unfinished"), told)
    assert listing.retry(ledger, []) == []
    assert ledger.find(key) is None
    assert "schema version" in caplog.text
    assert {row.key for row in listing.clean(ledger, 0, dry=False)} == {key, "0ld"}


@pytest.mark.parametrize("content", ["[" * 200_000, "9" * 5000], ids=["nested deeply", "a long number"])
def test_an_entry_that_no_parser_can_read_is_set_aside(tmp_path: Path, content: str) -> None:
    ledger = Ledger(tmp_path / "ledger")
    for name in ("key", "other.unfinished"):
        (ledger.folder / name).mkdir(parents=True)
        (ledger.folder / name / TRIAL).write_text(content)
    (ledger.folder / "other.unfinished" / "failures.json").write_text(content)
    assert {row.state for row in listing.rows(ledger)} == {"damaged"}
    assert ledger.failures("other") == []
    assert ledger.find("key") is None
    assert (ledger.folder / "key.damaged").is_dir()


def test_what_a_trial_leaves_is_complete(store: PatchStore, trials: list[Trial], tmp_path: Path) -> None:
    grid.run(trials[:1], store, CPU, Ledger(tmp_path / "ledger"), tmp_path / "out")
    folder = tmp_path / "out" / "unet-adam-mse"
    trial = TrialRecord.read(folder / "trial.json")
    epochs = history.read(folder, trial)
    assert (trial.state, trial.epochs_done, trial.epoch) == ("done", 2, 2)
    assert trial.optimizer_settings["betas"] == [0.9, 0.999]
    assert trial.loss_settings == {"name": "mse"}
    assert trial.noise == store.noise
    assert trial.training["epochs"] == trial.epochs == 2
    assert trial.parameters == 134_284
    assert trial.place == work.place_of(trials[0], CPU)
    assert trial.versions["torch"] == importlib.metadata.version("torch")
    assert trial.peak_memory_mb > 50
    assert epochs["epoch"].tolist() == [1, 2]
    assert epochs["val_psnr"].iloc[-1] == trial.val_psnr
    assert np.isfinite(epochs.to_numpy()).all()


def test_a_trial_keeps_its_place_when_the_study_gets_more_seeds(
    store: PatchStore, make_trials: Make, tmp_path: Path
) -> None:
    from degrain.inference.denoiser import Denoiser

    ledger = Ledger(tmp_path / "ledger")
    for seeds in ([0], [0, 1]):
        trials = make_trials(optimizers=["adam"], seeds=seeds)
        grid.run(trials, store, CPU, ledger, tmp_path / "trials" / "unet")
    assert len([path for path in ledger.folder.iterdir() if path.is_dir()]) == 2
    for trial in of_study.read_all(tmp_path / "trials", ["unet"]):
        assert Denoiser.load(tmp_path / "trials" / "unet" / trial.name).trial == trial


def test_a_stopped_grid_goes_on_from_its_checkpoints(
    store: PatchStore, trials: list[Trial], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid.run(trials, store, CPU, Ledger(tmp_path / "whole"), tmp_path / "expected")
    ledger = Ledger(tmp_path / "ledger")
    show = grid.Board.show

    def stop_at_the_first_epoch(self: grid.Board, name: str, event: Any) -> None:
        show(self, name, event)
        signal_self()

    with monkeypatch.context() as patch:
        patch.setattr(grid.Board, "show", stop_at_the_first_epoch)
        with pytest.raises(Stopped) as stopped:
            grid.run(trials, store, CPU, ledger, tmp_path / "out")
    assert stopped.value.exit_code == 128 + 15
    assert not (tmp_path / "out").exists()
    assert list(ledger.folder.glob("*.unfinished/checkpoint.json"))
    grid.run(trials, store, CPU, ledger, tmp_path / "out")
    assert weights(tmp_path / "out") == weights(tmp_path / "expected")


def signal_self() -> None:
    """Ask this process to stop, as Prefect and service managers do."""
    os.kill(os.getpid(), signal.SIGTERM)


def other_grid(trials: list[Trial], store: PatchStore, ledger: Ledger, target: Path) -> None:
    grid.run(trials, store, CPU, ledger, target)


@pytest.mark.slow
def test_two_grids_at_once_train_each_trial_once(store: PatchStore, make_trials: Make, tmp_path: Path) -> None:
    trials = make_trials(losses=["mse", "mae"], epochs=4)
    ledger = Ledger(tmp_path / "ledger")
    context = multiprocessing.get_context("spawn")
    targets = [tmp_path / "one", tmp_path / "other"]
    others = [context.Process(target=other_grid, args=(trials, store, ledger, target)) for target in targets]
    for other in others:
        other.start()
    for other in others:
        other.join(120)
    assert [other.exitcode for other in others] == [0, 0]
    assert len(weights(tmp_path / "one")) == 4
    assert weights(tmp_path / "one") == weights(tmp_path / "other")
    ended = [[TrialRecord.read(path).ended for path in sorted(target.glob("*/trial.json"))] for target in targets]
    assert ended[0] == ended[1]


def test_a_trial_that_another_process_trains_is_waited_for(
    store: PatchStore, trials: list[Trial], tmp_path: Path
) -> None:
    ledger = Ledger(tmp_path / "ledger")
    key = work.key_of(trials[0], store, CPU)
    with (
        ledger.claimed(key),
        pytest.raises(Busy),
    ):
        work.train(work.Job(trials[0], key, store, CPU, ledger), lambda _: None, lambda: False)


def test_a_full_disk_is_an_error_of_the_whole_grid(
    store: PatchStore, trials: list[Trial], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(tmp_path / "ledger")
    monkeypatch.setattr(grid, "train", disk_is_full)
    with pytest.raises(OutputError, match="no space left"):
        grid.run(trials, store, CPU, ledger, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def disk_is_full(*_: Any) -> None:
    raise OutputError("cannot write x: no space left on device")


def test_titles_of_losses_and_optimizers() -> None:
    terms = [{"name": "mae", "weight": 0.16}, {"name": "ms-ssim", "weight": 0.84}]
    assert Sum.model_validate({"name": "sum", "terms": terms}).title == "mae-ms-ssim"
    assert Adam(name="adam", label="fast").title == "fast"
