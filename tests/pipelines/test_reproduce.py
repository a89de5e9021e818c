"""The flow as a person runs it: what it does, what it says, and what it leaves when it is stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import Any

import httpx
import pytest
import yaml
from prefect.exceptions import ObjectNotFound

from degrain.errors import ParamsError
from pipelines import by_hand
from pipelines import reproduce as flows
from pipelines.graph import Meta, Stage
from tests.conftest import Project
from tests.pipelines.conftest import commit, running, until

COMMAND = ("python", "-m", "pipelines.reproduce")


def reproduce(project: Project, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return project.run(*COMMAND, *arguments, **variables)


def started(project: Project, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=project.folder,
        env=project.environment(PATH=project.environment()["PATH"]),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def remembered(url: str) -> tuple[dict[str, str], dict[str, Any]]:
    """Names of the tasks' states, and artifacts by their keys, of the last run that Prefect's server has."""
    (last,) = httpx.post(f"{url}/flow_runs/filter", json={"sort": "START_TIME_DESC", "limit": 1}).json()
    of_run = {"flow_runs": {"id": {"any_": [last["id"]]}}}
    tasks, artifacts = (httpx.post(f"{url}/{what}/filter", json=of_run).json() for what in ("task_runs", "artifacts"))
    return {task["name"]: task["state_name"] for task in tasks}, {found["key"]: found for found in artifacts}


def add_stage(project: Project, name: str, command: str, *deps: str, **more: Any) -> None:
    path = project.folder / "dvc.yaml"
    described = yaml.safe_load(path.read_text())
    described["stages"][name] = {"cmd": command, "deps": [*deps, "params.yaml"], **more}
    path.write_text(yaml.safe_dump(described, sort_keys=False))


@pytest.mark.slow
def test_a_change_runs_what_it_concerns_and_the_rest_is_cached(copy: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    before = copy.read("params.yaml")
    done = reproduce(copy, "-S", "evaluate.baselines=[]", "--publish", "branch:nightly")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with by_hand.own(copy.folder) as own:
        states, artifacts = remembered(own)
    cached = {"download", "validate", "prepare", "train@sinha2018", "train@unet"}
    assert states == dict.fromkeys(cached, "Cached") | dict.fromkeys(("evaluate", "report", "register"), "Completed")
    assert set(artifacts) == {"reproduce-summary", "ranking", "before-and-after"}
    summary = artifacts["reproduce-summary"]["data"]
    assert "| evaluate | ran |" in summary
    assert "| train@unet | unchanged | 0.0 |" in summary
    assert "on the branch nightly" in summary
    (report,) = (copy.folder / ".degrain" / "runs").glob("*/report.html")
    assert str(report) in summary
    assert artifacts["before-and-after"]["data"].startswith("data:image/jpeg;base64,")
    assert copy.read("params.yaml") == before
    shown = copy.run("git", "show", "nightly:params.yaml").stdout
    assert yaml.safe_load(shown)["evaluate"]["baselines"] == []
    assert not list((copy.folder / ".degrain" / "workspaces").glob("*/"))


def mistake(project: Project, *arguments: str, **variables: str) -> str:
    """The one line that is said of a mistake."""
    done = reproduce(project, *arguments, **variables)
    assert done.returncode == 2, done.stdout[-2000:] + done.stderr[-2000:]
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("reproduce: ")]
    return line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--publish", "nowhere"), "publish: 'nowhere' is neither"),
        (("--publish", "branch:a b"), "publish: 'a b' is no name of a branch"),
        (("--publish", "branch:main"), "publish: the branch main is checked out somewhere"),
        (("--folder", "/"), "/ holds no dvc.yaml"),
    ],
)
def test_a_mistake_is_one_line(quick: Project, arguments: tuple[str, ...], words: str) -> None:
    assert words in mistake(quick, *arguments)
    assert not (quick.folder / ".degrain" / "prefect").exists(), "no server is started for it"


@pytest.mark.slow
def test_a_mistake_in_a_study_is_one_line(quick: Project, url: str) -> None:
    # With a server of its own, as most people run it, and the others with one that is there.
    assert "there is no study 'mnits'; did you mean 'mnist'?" in mistake(quick, "mnits")
    for arguments, words in (
        (("-S", "train.epocs=2"), "train.epocs is not a parameter; did you mean 'train.epochs'?"),
        (("-S", "train.epochs=-2"), "train.epochs is -2"),
        (("--target", "mdae"), "there is no stage 'mdae'; did you mean 'made'?"),
    ):
        assert words in mistake(quick, *arguments, PREFECT_API_URL=url)


@pytest.mark.slow
def test_a_failure_stops_what_depends_on_it_and_nothing_else(quick: Project, url: str) -> None:
    add_stage(quick, "broken", "echo broken; exit 3", outs=["broken.txt"], meta={"retries": 2, "retry_delay": 0})
    add_stage(quick, "after", "touch after.txt", "broken.txt", outs=["after.txt"])
    add_stage(quick, "beside", "touch beside.txt", outs=["beside.txt"])
    add_stage(quick, "endless", "sleep 6177.25", meta={"retries": 0, "timeout": 12})
    commit(quick)
    done = reproduce(quick, "-S", "evaluate.confidence=0.8", PREFECT_API_URL=url)
    assert done.returncode == 1, done.stdout[-3000:] + done.stderr[-3000:]
    assert "reproduce: broken: ERROR: failed to reproduce 'broken'" in done.stderr
    assert "; endless: it took longer than its timeout\n" in done.stderr
    assert not running("6177.25")
    states, artifacts = remembered(url)
    assert (states["broken"], states["after"], states["beside"]) == ("Failed", "NotReady", "Completed")
    assert done.stderr.count("echo broken; exit 3, exited with 3") >= 3 or done.stdout.count("exited with 3") >= 3
    assert "| beside | ran |" in artifacts["reproduce-summary"]["data"]
    assert "Results: none, since not all stages ended well" in artifacts["reproduce-summary"]["data"]
    assert quick.run("dvc", "exp", "list", "--names-only").stdout == ""


@pytest.mark.slow
def test_a_run_that_fails_publishes_nothing_and_the_next_one_goes_on(quick: Project, url: str) -> None:
    asked = ("-S", "train.epochs=3", "--publish", "branch:nightly")
    add_stage(quick, "broken", "false", "data/made.txt", meta={"retries": 0})
    commit(quick)
    done = reproduce(quick, *asked, PREFECT_API_URL=url)
    assert done.returncode == 1, done.stdout[-3000:] + done.stderr[-3000:]
    assert "results: none, since not all stages ended well" in done.stdout + done.stderr
    assert quick.run("git", "branch", "--list", "nightly").stdout == ""
    add_stage(quick, "broken", "true", "data/made.txt")
    commit(quick)
    done = reproduce(quick, *asked, PREFECT_API_URL=url)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "Stage 'made' is cached - skipping run" in done.stdout + done.stderr
    shown = quick.run("git", "log", "-1", "--format=%s", "nightly").stdout
    assert shown == "Run: the study in params.yaml, train.epochs=3\n"


def test_a_pool_that_no_stage_is_given_to_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Client:
        """Of a server that has the pool gpu."""

        def __enter__(self) -> Client:
            return self

        def __exit__(self, *_: object) -> None: ...

        def read_work_pool(self, name: str) -> None:
            if name != "gpu":
                raise ObjectNotFound(Exception())

    monkeypatch.setattr(flows, "get_client", lambda **_: Client())
    monkeypatch.setattr(flows, "_own_pool", lambda: "cpu")
    stages = [Stage(pool or "here", frozenset(), True, Meta(pool=pool)) for pool in ("", "gpu", "big")]
    assert flows._sent(stages, frozenset({"gpu", "cpu"})) == {"gpu"}
    assert flows._sent(stages, frozenset()) == frozenset()
    with pytest.raises(ParamsError, match=r"no stage of dvc.yaml is given to the pool 'gpuu'; did you mean 'gpu'"):
        flows._sent(stages, frozenset({"gpuu", "cpu"}))
    with pytest.raises(
        ParamsError, match=r"the Prefect server has no pool 'big'; run: python -m pipelines\.servers deploy"
    ):
        flows._sent(stages, frozenset({"big"}))


def test_what_a_run_was_asked_for_is_told() -> None:
    assert flows.told_of("mnist", ["a=1", "b=2"], ["train"]) == "Run: mnist, a=1, b=2, only train"
    assert flows.told_of("", [], []) == "Run: the study in params.yaml"


@pytest.mark.slow
def test_stages_run_side_by_side_and_share_the_threads(quick: Project, url: str) -> None:
    # Each waits for the other.
    meet = "touch {0}.here; for i in $(seq 300); do [ -e {1}.here ] && {2} && exit; sleep 0.1; done; exit 1"
    for name, other in (("left", "right"), ("right", "left")):
        told = f"echo $DEGRAIN_THREADS | tee {name}.txt > $DEGRAIN_PROJECT/{name}.threads"
        add_stage(quick, name, meet.format(name, other, told), outs=[f"{name}.txt"], meta={"retries": 0})
    commit(quick)
    done = reproduce(quick, "--target", "left", "--target", "right", DEGRAIN_THREADS="6", PREFECT_API_URL=url)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert [quick.read(f"{name}.threads") for name in ("left", "right")] == [b"3\n", b"3\n"]


@pytest.mark.slow
def test_a_mistake_in_a_stage_is_not_tried_again(quick: Project, url: str) -> None:
    # Nothing is validated, of which degrain says so and exits with 2.
    add_stage(quick, "wrong", "echo >> $DEGRAIN_PROJECT/tries; degrain prepare", meta={"retries": 2, "retry_delay": 0})
    commit(quick)
    done = reproduce(quick, "--target", "wrong", PREFECT_API_URL=url)
    assert done.returncode == 2, done.stdout[-3000:] + done.stderr[-3000:]
    assert "degrain prepare, exited with 2" in done.stderr
    assert quick.read("tries") == b"\n"


def stop_in_training(project: Project, number: int) -> None:
    """Send a signal to a flow that trains; nothing of it may be left."""
    run = started(project, "-S", "train.epochs=400", "-S", "prepare.stride=64")
    assert run.stdout is not None
    begun = False
    for line in run.stdout:
        if "degrain train" in line:
            begun = True
            break
    assert begun, number
    time.sleep(3)
    run.send_signal(number)
    said = run.stdout.read()
    assert until(lambda: run.poll() is not None, 40), said[-3000:]
    run.stdout.close()
    assert until(lambda: not [pid for pid in running(str(project.folder)) if pid != os.getpid()], 30), number


@pytest.mark.slow
def test_nothing_is_left_of_flows_that_are_stopped_and_the_next_one_goes_on(copy: Project) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
        stop_in_training(copy, number)
    again = reproduce(copy)
    assert again.returncode == 0, again.stdout[-3000:] + again.stderr[-3000:]
    assert not list((copy.folder / ".degrain" / "workspaces").glob("*/"))


@pytest.mark.slow
def test_two_studies_at_once_do_not_meet(copy: Project) -> None:
    runs = [started(copy, "-S", f"evaluate.confidence={share}") for share in (0.5, 0.9)]
    for run in runs:
        output, _ = run.communicate(timeout=800)
        assert run.returncode == 0, output[-3000:]
    shown = copy.run("dvc", "exp", "show", "--json").stdout
    assert shown.count('"confidence": 0.5') >= 1
    assert shown.count('"confidence": 0.9') >= 1


# One process for the three, since each would import Prefect.
ALL = """
import runpy, sys
for module, *arguments in (["pipelines.reproduce"], ["pipelines.refresh"], ["pipelines.servers", "deploy"]):
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__")
    except SystemExit as ended:
        print(module, ended.code)
"""


@pytest.mark.slow
@pytest.mark.parametrize("silent", ["http://127.0.0.1:9/api", "nonsense", "http://no-such-host.invalid/api"])
def test_a_server_that_is_set_and_does_not_answer_is_one_line(quick: Project, silent: str) -> None:
    done = quick.run("python", "-W", "ignore::RuntimeWarning:runpy", "-c", ALL, PREFECT_API_URL=silent)
    ended = [f"pipelines.{name} 2" for name in ("reproduce", "refresh", "servers")]
    assert done.stdout.splitlines() == ended, done.stderr[-3000:]
    lines = done.stderr.splitlines()
    assert [f"PREFECT_API_URL: nobody answers at {silent} (" in line for line in lines] == [True] * 3, lines
    assert not (quick.folder / ".degrain" / "prefect").exists()


def test_prefect_starts_no_server_by_itself(copy: Project) -> None:
    ask = "import pipelines; from prefect.client.orchestration import get_client; get_client()"
    done = copy.run("python", "-c", ask)
    assert "ValueError: No Prefect API URL provided" in done.stderr
