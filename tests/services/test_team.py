"""A study on a team's servers: on a schedule, with a stage on another worker, through outages and deaths."""

from __future__ import annotations

import shutil
import time
from datetime import UTC, datetime
from typing import Any

import mlflow
import pytest

from degrain import files
from degrain.artifacts.trial import TrialRecord
from tests.services.conftest import Team
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
    # The same schedule, in a minute from now instead of at night.
    soon = datetime.fromtimestamp(time.time() + 70, UTC)
    cron = {"schedule": {"cron": f"{soon.minute} {soon.hour} * * *", "timezone": "UTC"}, "active": True}
    (made,) = team.ask(f"deployments/{nightly['id']}/schedules", body=[cron])
    fired = {"deployment_id": {"any_": [nightly["id"]]}, "state": {"type": {"any_": ["RUNNING", "COMPLETED"]}}}
    until(lambda: team.ask("flow_runs/filter", flow_runs=fired), 150, "the schedule does not fire")
    (run,) = team.ask("flow_runs/filter", flow_runs=fired)
    team.unschedule(nightly["id"], made["id"])
    ended = team.ended(run["id"])
    assert ended["state_name"] == "Completed", team.log(run["id"])
    (child,) = team.children(run["id"])
    assert (child["state_name"], child["work_pool_name"]) == ("Completed", "gpu")
    trainer = team.clone("trainer").folder
    assert list((trainer / ".degrain" / "trials").glob("*/trial.json")), "it was trained by the worker"
    assert not list((team.conductor.folder / ".degrain" / "trials").glob("*/trial.json")), "and by nobody else"
    assert team.unfinished() == [], "what is done is not kept as unfinished"
    version = registered(team)
    assert version.tags["degrain.commit"]
    assert version.tags["degrain.data_sha256"]
    (listed,) = team.conductor.run("dvc", "exp", "list", "--name-only").stdout.split()
    assert listed.startswith(ended["name"])
    team.dismiss("trainer")


def registered(team: Team) -> Any:
    client = mlflow.MlflowClient(team.variables["MLFLOW_TRACKING_URI"])
    version = client.get_model_version_by_alias("tiny", "champion")
    run = client.get_run(version.run_id)
    return type("Registered", (), {"version": version.version, "tags": {**run.data.tags, **version.tags}})


def test_a_stage_goes_on_with_another_worker_where_its_own_was_killed(team: Team) -> None:
    run = team.begin(pools="gpu", publish="branch:killed", overrides=["train.seeds=[7]"])
    until(lambda: "start one with: make worker POOL=gpu" in team.log(run), 160, "nobody says that no worker is there")
    waited = next(line for line in team.lines(run) if "is sent to the pool gpu" in line["message"])
    said = next(line for line in team.lines(run) if "start one with" in line["message"])
    between = datetime.fromisoformat(said["timestamp"]) - datetime.fromisoformat(waited["timestamp"])
    assert between.total_seconds() <= 75
    team.worker("first", "gpu")
    until(lambda: any(name.endswith(".unfinished.tar") for name in team.unfinished()), 180, "no checkpoint is mirrored")
    time.sleep(5)
    team.kill("first")
    mirrored = team.unfinished()
    team.worker("second", "gpu")
    ended = team.ended(run)
    assert ended["state_name"] == "Completed", team.log(run)
    assert mirrored
    assert "its worker is dead; it is sent again" in team.log(run)
    assert "1 trials that another worker has begun go on from where they were" in team.log(run)
    assert [child["state_name"] for child in team.children(run)] == ["Crashed", "Completed"]
    resumed = trained(team, "killed")
    # The same study in one go, in a clone that shares nothing with the others.
    alone = team.clone("alone")
    alone.change(train={"seeds": [7]})
    done = alone.run("dvc", "repro", "train@unet", timeout=400, **team.variables)
    assert done.returncode == 0, done.stdout + done.stderr
    (record,) = (alone.folder / "data" / "trials" / "unet").glob("*/trial.json")
    unkilled = TrialRecord.of_folder(record.parent)
    assert (resumed.key, resumed.weights_sha256) == (unkilled.key, unkilled.weights_sha256)
    team.dismiss("second")


def test_a_run_ends_right_through_outages_of_every_server(team: Team) -> None:
    team.worker("patient", "gpu")
    run = team.begin(pools="gpu", publish="branch:outages", overrides=["train.seeds=[8]"])
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
    run = team.begin(pools="gpu", publish="branch:cancelled", overrides=["train.seeds=[9]"])
    until(lambda: "Running stage 'train@unet'" in team.log(run), 240, "nothing is trained")
    team.ask(f"flow_runs/{run}/set_state", state={"type": "CANCELLING", "name": "Cancelling"})
    until(lambda: team.idle("cancelled"), 60, "the stage goes on")
    until(lambda: team.idle("conductor"), 30, "the flow goes on")
    assert team.run(run)["state_type"] == "CANCELLED"
    assert files.is_folder(team.clone("cancelled").folder)
    shutil.rmtree(team.clone("cancelled").folder / ".degrain" / "trials")
    team.dismiss("cancelled")
