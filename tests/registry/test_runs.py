"""A trial's run in MLflow: nothing is lost and nothing is doubled, however and whenever it is sent."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from degrain.artifacts.history import CURVES, Epoch
from degrain.artifacts.trial import BegunTrial, TrialSettings
from degrain.registry import runs, tags, tracking
from degrain.registry.runs import Mirror, Seen
from tests.artifacts import records
from tests.registry import grids


@pytest.fixture
def mirror(project: Path) -> Iterator[Mirror]:
    with tracking.connect() as client:
        yield Mirror(client, tracking.experiment(client, "tiny"), "tiny")


def again(mirror: Mirror, study: str = "tiny") -> Mirror:
    """The same in a process that has just begun."""
    return Mirror(mirror.client, mirror.experiment, study)


def epochs(count: int) -> list[Epoch]:
    return [Epoch(**row) for row in grids.history(count).to_dict("records")]


def begun() -> BegunTrial:
    settings = {name: records.TRIAL[name] for name in (*TrialSettings.model_fields, "key")}
    return BegunTrial.model_validate(settings | {"schema_version": BegunTrial.VERSION, "pid": 7, "began": grids.BEGAN})


def done(**change: Any) -> Seen:
    change = {"began": grids.BEGAN, "ended": grids.BEGAN + 9, "epochs_done": 3, "epoch": 3} | change
    return Seen(records.trial(**change), epochs(3))


def points(mirror: Mirror, run: str, curve: str = "val_psnr") -> list[tuple[int, float, int]]:
    found = mirror.client.get_metric_history(run, curve)
    return [(point.step, point.value, point.timestamp) for point in found]


def all_runs(mirror: Mirror) -> list[Any]:
    return list(mirror.client.search_runs([mirror.experiment]))


def expected(count: int) -> list[tuple[int, float, int]]:
    return [(n, float(n), runs.milliseconds(grids.BEGAN + n)) for n in range(1, count + 1)]


def test_a_trial_is_seen_while_it_trains_and_closed_when_it_ends(mirror: Mirror) -> None:
    run = mirror.send(Seen(begun(), epochs(1)))
    assert mirror.client.get_run(run).info.status == "RUNNING"
    assert points(mirror, run) == expected(1)
    assert mirror.send(Seen(begun(), epochs(2))) == run
    assert mirror.send(done()) == run
    (found,) = all_runs(mirror)
    assert (found.info.status, found.info.run_name) == ("FINISHED", "unet-adam-mse")
    assert (found.info.start_time, found.info.end_time) == tuple(
        runs.milliseconds(grids.BEGAN + seconds) for seconds in (0, 9)
    )
    for curve in CURVES:
        assert points(mirror, run, curve) == expected(3)


def test_what_is_sent_again_by_other_processes_is_there_once(mirror: Mirror) -> None:
    run = mirror.send(Seen(begun(), epochs(2)))
    for _ in range(3):
        assert again(mirror).send(done()) == run
        assert mirror.send(done()) == run
    assert points(mirror, run) == expected(3)
    (model,) = mirror.client.search_logged_models([mirror.experiment])
    assert model.source_run_id == run
    assert model.tags[tags.WEIGHTS] == records.trial().weights_sha256


def test_two_that_have_seen_the_trial_begin_close_it_once(mirror: Mirror) -> None:
    both = mirror, again(mirror)
    for one in both:
        one.send(Seen(begun(), epochs(2)))
    (run,) = {one.send(done()) for one in both}
    assert points(mirror, run) == expected(3)
    assert len(mirror.client.search_logged_models([mirror.experiment])) == 1


def test_params_do_not_follow_labels(mirror: Mirror) -> None:
    failed = done(state="failed", reason="x", sha256={}, epoch=None, val_psnr=None, parameters=None, optimizer="a")
    run = mirror.send(failed)
    assert again(mirror).send(done(optimizer="b")) == run
    assert mirror.client.get_run(run).info.status == "FINISHED"


def test_epochs_that_are_trained_again_after_a_kill_stay_one_point(mirror: Mirror) -> None:
    run = mirror.send(Seen(begun(), epochs(2)))
    later = [replace(epoch, ended=epoch.ended + 100, images_per_second=7.0) for epoch in epochs(3)]
    for one in (mirror, again(mirror)):
        one.send(Seen(begun(), later[:1]))
        one.send(Seen(begun(), later))
    expect = [*expected(2), (3, 3.0, runs.milliseconds(grids.BEGAN + 103))]
    assert points(mirror, run) == expect
    for kept in (2, 3):
        again(mirror).send(Seen(done(epoch=kept).trial, later))
    assert points(mirror, run) == expect
    assert len(points(mirror, run, "images_per_second")) == 3


@pytest.mark.parametrize("broken", ["log_batch", "log_dict", "create_logged_model", "set_terminated"])
def test_what_was_broken_off_is_completed(mirror: Mirror, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(mirror.client, broken, fail)
        with pytest.raises(OSError, match="gone"):
            mirror.send(done())
    run = again(mirror).send(done())
    (found,) = all_runs(mirror)
    assert found.info.status == "FINISHED"
    assert points(mirror, run) == expected(3)
    assert len(mirror.client.search_logged_models([mirror.experiment])) == 1


def test_a_run_that_was_made_twice_is_used_once(mirror: Mirror) -> None:
    """An answer of the server may be lost on the way."""
    mirror._made(Seen(begun(), []))
    run = mirror.send(Seen(begun(), epochs(1)))
    assert again(mirror).send(done()) == run
    assert len(all_runs(mirror)) == 1


def test_of_a_run_that_was_published_again_and_restored_the_oldest_is_used_unless_a_version_names_another(
    mirror: Mirror,
) -> None:
    made = []
    for _ in range(4):
        made.append(again(mirror).send(done()))
        mirror.client.delete_run(made[-1])
    for run in made:
        mirror.client.restore_run(run)
    assert len(set(made)) == 4
    assert again(mirror).send(done()) == made[0]
    mirror.client.create_registered_model("tiny")
    mirror.client.create_model_version("tiny", "file:///x", made[2])
    assert again(mirror).send(done()) == made[2]
    assert len(all_runs(mirror)) == 4


@pytest.mark.parametrize("state", ["diverged", "failed"])
def test_trials_that_did_not_get_done_are_failed_with_the_reason(mirror: Mirror, state: str) -> None:
    seen = done(state=state, reason="the loss became nan", sha256={}, epoch=None, val_psnr=None, parameters=None)
    run = mirror.send(Seen(seen.trial, [*epochs(2), replace(epochs(3)[2], train_loss=math.nan, val_loss=math.inf)]))
    found = mirror.client.get_run(run)
    assert found.info.status == "FAILED"
    assert found.data.tags[tags.STATE] == state
    assert "the loss became nan" in found.data.tags[runs.DESCRIPTION]
    assert found.data.tags[runs.LEFT_OUT] == "train_loss of epoch 3 (nan); val_loss of epoch 3 (inf)"
    assert [step for step, *_ in points(mirror, run, "train_loss")] == [1, 2]
    assert [step for step, *_ in points(mirror, run)] == [1, 2, 3]
    assert mirror.client.search_logged_models([mirror.experiment]) == []


def test_a_trial_that_failed_and_is_tried_again_ends_well(mirror: Mirror) -> None:
    failed = done(state="failed", reason="out of memory", sha256={}, epoch=None, val_psnr=None, parameters=None)
    run = mirror.send(replace(failed, epochs=epochs(1)))
    assert again(mirror).send(Seen(begun(), epochs(2))) == run
    assert mirror.client.get_run(run).info.status == "RUNNING"
    assert again(mirror).send(done()) == run
    assert mirror.client.get_run(run).info.status == "FINISHED"
    assert points(mirror, run) == expected(3)


def test_a_trial_of_two_studies_is_one_run(mirror: Mirror) -> None:
    run = mirror.send(done())
    assert again(mirror, "other").send(done()) == run
    assert mirror.client.get_run(run).data.tags[tags.STUDY] == "tiny, other"
    assert len(all_runs(mirror)) == 1


def test_params_are_what_a_reader_would_ask_for(mirror: Mirror) -> None:
    found = mirror.client.get_run(mirror.send(done())).data.params
    assert found["optimizer"] == "adam"
    assert found["optimizer.lr"] == "0.1"
    assert found["loss"] == "mse"
    assert len(found) <= 20
    assert not [value for value in found.values() if value in ("None", "") or len(value) > 100]
    assert len({name.rpartition(".")[2] for name in found}) == len(found)
