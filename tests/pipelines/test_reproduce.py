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


def remembered(project: Project, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, str], dict[str, Any]]:
    """Names of the tasks' states, and artifacts by their keys, as Prefect's server has them."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with by_hand.own(project.folder) as url:
        tasks = httpx.post(f"{url}/task_runs/filter", json={}).json()
        artifacts = httpx.post(f"{url}/artifacts/filter", json={}).json()
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
    states, artifacts = remembered(copy, monkeypatch)
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


MISTAKES = [
    (("mnits",), "there is no study 'mnits'; did you mean 'mnist'?"),
    (("-S", "train.epocs=2"), "train.epocs is not a parameter; did you mean 'train.epochs'?"),
    (("-S", "train.epochs=-2"), "train.epochs is -2"),
    (("--target", "mdae"), "there is no stage 'mdae'; did you mean 'made'?"),
    (("--publish", "nowhere"), "publish: 'nowhere' is neither"),
    (("--publish", "branch:a b"), "publish: 'a b' is no name of a branch"),
    (("--publish", "branch:main"), "publish: the branch main is checked out somewhere"),
    (("--folder", "/"), "/ holds no dvc.yaml"),
]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [pytest.param(*case, marks=[pytest.mark.slow] if case in MISTAKES[:4] else []) for case in MISTAKES],
)
def test_a_mistake_is_one_line(quick: Project, arguments: tuple[str, ...], words: str) -> None:
    done = reproduce(quick, *arguments)
    assert done.returncode == 2, done.stdout[-2000:] + done.stderr[-2000:]
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("reproduce: ")]
    assert words in line
    if arguments[0] in ("--publish", "--folder"):
        assert not (quick.folder / ".degrain" / "prefect").exists(), "no server is started for it"


@pytest.mark.slow
def test_a_failure_stops_what_depends_on_it_and_nothing_else(copy: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    add_stage(copy, "broken", "echo broken; exit 3", outs=["broken.txt"], meta={"retries": 2, "retry_delay": 0})
    add_stage(copy, "after", "touch after.txt", "broken.txt", outs=["after.txt"])
    add_stage(copy, "beside", "touch beside.txt", outs=["beside.txt"])
    commit(copy)
    done = reproduce(copy, "-S", "evaluate.confidence=0.8")
    assert done.returncode == 1, done.stdout[-3000:] + done.stderr[-3000:]
    assert "reproduce: broken: ERROR: failed to reproduce 'broken'" in done.stderr
    states, artifacts = remembered(copy, monkeypatch)
    assert (states["broken"], states["after"], states["beside"]) == ("Failed", "NotReady", "Completed")
    assert done.stderr.count("echo broken; exit 3, exited with 3") >= 3 or done.stdout.count("exited with 3") >= 3
    assert "| beside | ran |" in artifacts["reproduce-summary"]["data"]
    assert "Results: none, since not all stages ended well" in artifacts["reproduce-summary"]["data"]
    assert copy.run("dvc", "exp", "list", "--names-only").stdout == ""


@pytest.mark.slow
def test_a_run_that_fails_publishes_nothing_and_the_next_one_goes_on(quick: Project) -> None:
    asked = ("-S", "train.epochs=3", "--publish", "branch:nightly")
    add_stage(quick, "broken", "false", "data/made.txt", meta={"retries": 0})
    commit(quick)
    done = reproduce(quick, *asked)
    assert done.returncode == 1, done.stdout[-3000:] + done.stderr[-3000:]
    assert "results: none, since not all stages ended well" in done.stdout + done.stderr
    assert quick.run("git", "branch", "--list", "nightly").stdout == ""
    add_stage(quick, "broken", "true", "data/made.txt")
    commit(quick)
    done = reproduce(quick, *asked)
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
    with pytest.raises(ParamsError, match="the Prefect server has no pool 'big'; run: make deploy"):
        flows._sent(stages, frozenset({"big"}))


def test_what_a_run_was_asked_for_is_told() -> None:
    assert flows.told_of("mnist", ["a=1", "b=2"], ["train"]) == "Run: mnist, a=1, b=2, only train"
    assert flows.told_of("", [], []) == "Run: the study in params.yaml"


@pytest.mark.slow
def test_stages_run_side_by_side(copy: Project) -> None:
    # Each waits for the other.
    meet = "touch {0}.here; for i in $(seq 300); do [ -e {1}.here ] && touch {0}.txt && exit; sleep 0.1; done; exit 1"
    for name, other in (("left", "right"), ("right", "left")):
        add_stage(copy, name, meet.format(name, other), outs=[f"{name}.txt"], meta={"retries": 0})
    commit(copy)
    done = reproduce(copy, "--target", "left", "--target", "right")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.mark.slow
def test_a_mistake_in_a_stage_is_not_tried_again(quick: Project) -> None:
    # Nothing is validated, of which degrain says so and exits with 2.
    add_stage(quick, "wrong", "echo >> $DEGRAIN_PROJECT/tries; degrain prepare", meta={"retries": 2, "retry_delay": 0})
    commit(quick)
    done = reproduce(quick, "--target", "wrong")
    assert done.returncode == 2, done.stdout[-3000:] + done.stderr[-3000:]
    assert "degrain prepare, exited with 2" in done.stderr
    assert quick.read("tries") == b"\n"


@pytest.mark.slow
def test_a_stage_that_takes_longer_than_its_timeout_is_stopped(quick: Project) -> None:
    add_stage(quick, "endless", "sleep 6177.25", meta={"retries": 0, "timeout": 12})
    commit(quick)
    done = reproduce(quick, "--target", "endless")
    assert done.returncode == 1, done.stdout[-3000:] + done.stderr[-3000:]
    assert "reproduce: endless: it took longer than its timeout\n" in done.stderr
    assert not running("6177.25")


@pytest.mark.slow
def test_stages_that_run_side_by_side_share_the_threads(quick: Project) -> None:
    for name in ("left", "right"):
        add_stage(quick, name, f"echo $DEGRAIN_THREADS > $DEGRAIN_PROJECT/{name}.txt")
    commit(quick)
    done = reproduce(quick, "--target", "left", "--target", "right", DEGRAIN_THREADS="6")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert [quick.read(f"{name}.txt") for name in ("left", "right")] == [b"3\n", b"3\n"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_of_a_flow_that_is_stopped_and_the_next_one_goes_on(copy: Project, number: int) -> None:
    run = started(copy, "-S", "train.epochs=400", "-S", "prepare.stride=64")
    assert run.stdout is not None
    begun = False
    for line in run.stdout:
        if "degrain train" in line:
            begun = True
            break
    assert begun
    time.sleep(3)
    run.send_signal(number)
    said = run.stdout.read()
    assert until(lambda: run.poll() is not None, 40), said[-3000:]
    run.stdout.close()
    assert until(lambda: not [pid for pid in running(str(copy.folder)) if pid != os.getpid()], 30)
    again = reproduce(copy)
    assert again.returncode == 0, again.stdout[-3000:] + again.stderr[-3000:]
    assert not list((copy.folder / ".degrain" / "workspaces").glob("*/"))


@pytest.mark.slow
def test_two_studies_at_once_do_not_meet(copy: Project) -> None:
    runs = [started(copy, "-S", f"evaluate.confidence={share}") for share in (0.5, 0.9)]
    for run in runs:
        output, _ = run.communicate(timeout=300)
        assert run.returncode == 0, output[-3000:]
    shown = copy.run("dvc", "exp", "show", "--json").stdout
    assert shown.count('"confidence": 0.5') >= 1
    assert shown.count('"confidence": 0.9') >= 1


@pytest.mark.slow
@pytest.mark.parametrize("url", ["http://127.0.0.1:9/api", "nonsense", "http://no-such-host.invalid/api"])
def test_a_server_that_is_set_and_does_not_answer_is_one_line(quick: Project, url: str) -> None:
    for command in (COMMAND, ("python", "-m", "pipelines.refresh"), ("python", "-m", "pipelines.servers", "deploy")):
        done = quick.run(*command, PREFECT_API_URL=url)
        assert done.returncode == 2, done.stderr[-3000:]
        (line,) = done.stderr.splitlines()
        assert f"PREFECT_API_URL: nobody answers at {url} (" in line
    assert not (quick.folder / ".degrain" / "prefect").exists()


def test_prefect_starts_no_server_by_itself(copy: Project) -> None:
    ask = "import pipelines; from prefect.client.orchestration import get_client; get_client()"
    done = copy.run("python", "-c", ask)
    assert "ValueError: No Prefect API URL provided" in done.stderr
