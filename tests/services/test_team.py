"""A study on a team's servers: on a schedule, with a stage on another worker, through outages and deaths."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import mlflow
import pytest

from degrain.artifacts import history
from degrain.artifacts.trial import HISTORY, TrialRecord
from tests.services.conftest import LONG, Team
from tests.services.processes import until

pytestmark = [pytest.mark.services, pytest.mark.timeout(600)]


def trained(team: Team, branch: str) -> TrialRecord:
    """The trial that a run has left on a branch."""
    project = team.conductor
    for command in (("git", "checkout", "-q", branch), ("dvc", "checkout", "-q", "--allow-missing")):
        done = project.run(*command)
        assert done.returncode == 0, done.stderr
    (record,) = (project.folder / "data" / "trials" / "unet").glob("*/trial.json")
    found = TrialRecord.of_folder(record.parent)
    project.run("git", "checkout", "-q", "main")
    return found


def test_a_schedule_fires_and_a_stage_runs_on_the_pool_of_another_worker(team: Team) -> None:
    nightly = team.deployment("reproduce/nightly")
    scheduled = {"deployment_id": {"any_": [nightly["id"]]}, "state": {"type": {"any_": ["SCHEDULED"]}}}
    until(lambda: team.ask("flow_runs/filter", flow_runs=scheduled), 90, "the nightly schedule makes no run")
    team.worker("trainer", "gpu")
    # Also every minute, from soon on.
    soon = datetime.fromtimestamp(time.time() + 15, UTC).isoformat()
    minutely = {"schedule": {"interval": 60, "anchor_date": soon, "timezone": "UTC"}, "active": True}
    (made,) = team.ask(f"deployments/{nightly['id']}/schedules", body=[minutely])
    fired = {"deployment_id": {"any_": [nightly["id"]]}, "state": {"type": {"any_": ["RUNNING", "COMPLETED"]}}}
    until(lambda: team.ask("flow_runs/filter", flow_runs=fired), 150, "the schedule does not fire")
    (run,) = team.ask("flow_runs/filter", flow_runs=fired)
    team.unschedule(nightly["id"], made["id"])
    # The conductor has one place, so that no worker takes the run that overlaps: the server cancels it once it is late.
    overlapping = team.begin("reproduce/nightly")
    until(lambda: team.run(overlapping)["state_type"] == "CANCELLED", 90, "the run that overlaps waits")
    ended = team.ended(run["id"])
    assert ended["state_name"] == "Completed", team.log(run["id"])
    (child,) = team.children(run["id"])
    assert (child["state_name"], child["work_pool_name"]) == ("Completed", "gpu")
    (bar,) = team.artifacts(child["id"], "progress")
    assert (float(bar["data"]), bar["description"]) == (100, "train@unet: 1 of 1 trials")
    trainer = team.clone("trainer").folder
    assert list((trainer / ".degrain" / "trials").glob("*/trial.json")), "it was trained by the worker"
    assert not list((team.conductor.folder / ".degrain" / "trials").glob("*/trial.json")), "and by nobody else"
    assert team.unfinished() == [], "what is done is not kept as unfinished"
    version = registered(team)
    assert version.tags["degrain.commit"]
    assert version.tags["degrain.data_sha256"]
    (listed,) = team.conductor.run("dvc", "exp", "list", "--name-only").stdout.split()
    assert listed.startswith(ended["name"])
    assert listed in team.conductor.run("dvc", "exp", "list", "--name-only", "origin").stdout, "the team has it"
    until(lambda: team.hook.heard("tiny has a new champion", "version 1"), 30, "nobody is told of the promotion")
    team.dismiss("trainer")


def test_a_promotion_waits_for_an_approval(team: Team) -> None:
    (experiment,) = team.conductor.run("dvc", "exp", "list", "--name-only").stdout.split()
    run = team.begin("promote/by-hand", revision=experiment)
    until(lambda: team.run(run)["state_type"] == "PAUSED", 90, "it does not wait")
    until(lambda: team.idle("conductor"), 30, "it keeps the worker")
    (shown,) = team.ask("artifacts/filter", artifacts={"flow_run_id": {"any_": [run]}, "key": {"any_": ["promotion"]}})
    assert "unet-adam-mse" in shown["data"]
    team.ask(f"flow_runs/{run}/resume", run_input={"approve": True, "by": "Ada"})
    ended = team.ended(run)
    assert ended["state_name"] == "Promoted", team.log(run)
    assert "version 1 of tiny, approved by Ada" in ended["state"]["message"]
    run = team.begin("promote/by-hand", revision=experiment)
    until(lambda: team.run(run)["state_type"] == "PAUSED", 90, "it does not wait")
    team.ask(f"flow_runs/{run}/resume", run_input={"approve": False, "by": "Ada"})
    ended = team.ended(run)
    assert (ended["state_type"], ended["state"]["message"]) == ("CANCELLED", f"{experiment} is not approved by Ada")


def test_what_is_deployed_twice_is_there_once(team: Team) -> None:
    before = sorted(found["name"] for found in team.ask("automations/filter"))
    assert len(set(before)) == len(before) == 5
    team.deploy()
    assert sorted(found["name"] for found in team.ask("automations/filter")) == before
    weekly = team.deployment("refresh/weekly")
    assert weekly["concurrency_options"]["collision_strategy"] == "ENQUEUE", "one that overlaps waits"


def test_a_failure_is_told(team: Team) -> None:
    run = team.begin(study="mnits")
    ended = team.ended(run)
    assert ended["state_name"] == "Mistake"
    assert "there is no study 'mnits'; did you mean 'mnist'?" in ended["state"]["message"]
    until(lambda: team.hook.heard("Mistake", "did you mean 'mnist'?"), 30, "nobody is told of the failure")


def registered(team: Team) -> Any:
    client = mlflow.MlflowClient(team.variables["MLFLOW_TRACKING_URI"])
    version = client.get_model_version_by_alias("tiny", "champion")
    run = client.get_run(version.run_id)
    return type("Registered", (), {"version": version.version, "tags": {**run.data.tags, **version.tags}})


@pytest.mark.timeout(1200)  # what it waits for is together more than the others have
def test_a_stage_goes_on_with_another_worker_where_its_own_was_killed(team: Team) -> None:
    # Its first checkpoint has whole epochs: a second one is mirrored a minute after the first.
    seldom = 15
    asked = ["train.seeds=[7]", LONG, f"train.checkpoint_seconds={seldom}"]
    run = team.begin(pools="gpu", publish="branch:killed", overrides=asked)
    until(
        lambda: "start one with: python -m pipelines.servers worker --pool gpu" in team.log(run),
        160,
        "nobody says that no worker is there",
    )
    waited = next(line for line in team.lines(run) if "is sent to the pool gpu" in line["message"])
    said = next(line for line in team.lines(run) if "start one with" in line["message"])
    between = datetime.fromisoformat(said["timestamp"]) - datetime.fromisoformat(waited["timestamp"])
    assert between.total_seconds() <= 75
    team.worker("first", "gpu")
    until(team.mirrored, 180, "no checkpoint with a whole epoch is mirrored")
    team.kill("first")
    mirrored = team.mirrored()
    # Meanwhile the same in one go, in a clone that shares nothing with the others.
    alone = team.clone("alone")
    alone.change(train={"seeds": [7], "epochs": 20, "checkpoint_seconds": seldom})
    # While the automation waits for heartbeats.
    done = alone.run("dvc", "repro", "train@unet", timeout=400, **team.variables)
    assert done.returncode == 0, done.stdout + done.stderr
    team.worker("second", "gpu")
    ended = team.ended(run)
    assert ended["state_name"] == "Completed", team.log(run)
    assert "its worker is dead; it is sent again" in team.log(run)
    assert "1 trials that another worker has begun go on from where they were" in team.log(run)
    assert [child["state_name"] for child in team.children(run)] == ["Crashed", "Completed"]
    resumed = trained(team, "killed")
    (record,) = (alone.folder / "data" / "trials" / "unet").glob("*/trial.json")
    unkilled = TrialRecord.of_folder(record.parent)
    assert (resumed.key, resumed.weights_sha256) == (unkilled.key, unkilled.weights_sha256)
    second = team.clone("second").folder / ".degrain" / "trials" / resumed.key
    epochs = history.so_far(second / HISTORY)
    assert len(epochs) == 20
    assert epochs[: len(mirrored)] == mirrored, "they ended with the first worker, and are not trained again"
    team.dismiss("second")


def test_a_run_ends_right_through_outages_of_every_server(team: Team) -> None:
    team.worker("patient", "gpu")
    run = team.begin(pools="gpu", publish="branch:outages", overrides=["train.seeds=[8]", LONG])
    # PostgreSQL goes while the run is submitted, and again, longer, while the stage trains.
    team.postgres.restart(pause=8)
    until(lambda: "Running stage 'train@unet'" in team.log(run), 240, "nothing is trained")
    team.door.shut()
    team.mlflow.end(9)
    team.prefect.end(9)
    time.sleep(60)
    team.door.open()
    team.mlflow.start()
    team.postgres.restart(pause=8)
    time.sleep(45)
    team.prefect.start()
    ended = team.ended(run)
    assert ended["state_name"] == "Completed", team.log(run)
    assert [child["state_name"] for child in team.children(run)] == ["Completed"], "the stage was started once"
    assert trained(team, "outages").state == "done"
    started = [line for line in team.lines(run) if "> PYTHONPATH=src degrain" in line["message"]]
    assert len(started) == len({line["message"] for line in started}), "each stage was started once"
    team.dismiss("patient")


def test_a_flow_that_is_cancelled_leaves_nothing_on_any_worker(team: Team) -> None:
    team.worker("cancelled", "gpu")
    run = team.begin(pools="gpu", publish="branch:cancelled", overrides=["train.seeds=[9]", LONG])
    until(lambda: "Running stage 'train@unet'" in team.log(run), 240, "nothing is trained")
    team.ask(f"flow_runs/{run}/set_state", state={"type": "CANCELLING", "name": "Cancelling"})
    until(lambda: team.idle("cancelled"), 60, "the stage goes on")
    until(lambda: team.idle("conductor"), 30, "the flow goes on")
    until(lambda: team.run(run)["state_type"] == "CANCELLED", 60, "the run is not called cancelled")
    until(lambda: [child["state_type"] for child in team.children(run)] == ["CANCELLED"], 60, "nor is the stage's")
    team.dismiss("cancelled")
