"""A command on a leash ends with whoever started it, however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from degrain.errors import OutputError
from degrain.machine import variables
from degrain.programs import commands
from pipelines.processes import Children, StageFailed, dvc
from tests.conftest import ROOT, Project
from tests.pipelines.conftest import running, until

# A child that writes down its number, and a grandchild that does not listen to SIGTERM.
STUBBORN = "trap '' TERM; sleep 600 & echo $! $$; wait; sleep 600"
PARENT = """
import sys, time
from pathlib import Path
from pipelines.processes import Children
with Children(1) as children:
    children.run(["sh", "-c", sys.argv[1]], Path(), lambda line: print(line, flush=True))
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_when_the_starter_is_ended(number: int) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, "sleep 600 & echo $! $$; wait"],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert parent.stdout is not None
    pids = [int(word) for word in parent.stdout.readline().split()]
    assert all(map(alive, pids))
    parent.send_signal(number)
    parent.wait()
    parent.stdout.close()
    assert until(lambda: not any(map(alive, pids)), 20)


def test_what_does_not_listen_is_killed() -> None:
    child = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from degrain.programs import leash; leash.PATIENCE = 0.5; sys.exit(leash.main(sys.argv[1:]))",
            *("sh", "-c", STUBBORN),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    pids = [int(word) for word in child.stdout.readline().split()]
    child.stdin.close()
    assert child.wait(20) == 128 + signal.SIGKILL
    child.stdout.close()
    assert until(lambda: not any(map(alive, pids)), 5)


@pytest.mark.parametrize("code", [0, 1, 2, 77])
def test_the_exit_code_is_that_of_the_command(code: int) -> None:
    with Children(1) as children:
        ended = children.run(["sh", "-c", f"echo; echo a line; exit {code}"], Path(), lambda _: None)
    assert (ended.code, ended.lines, ended.timed_out) == (code, ["a line"], False)


def test_what_takes_too_long_is_stopped() -> None:
    with Children(1) as children:
        ended = children.run(["sleep", "600.25"], Path(), lambda _: None, timeout=0.5)
    assert ended.timed_out
    assert ended.complaint() == "it took longer than its timeout"
    assert not running("600.25")


# Leaves a process behind, in a session of its own, that holds the output open for a minute.
LEAVES = "echo a line; printf rest; setsid sleep {0} & sleep {1}; exit 3"


@pytest.mark.parametrize(("own", "limit", "late"), [("0.2", 20, False), ("600", 1, True)])
def test_a_process_that_is_left_behind_is_not_waited_for(own: str, limit: float, late: bool) -> None:
    begun, said, script = time.monotonic(), list[str](), LEAVES.format("60", own)
    with Children(1) as children:
        ended = children.run(["sh", "-c", script], Path(), said.append, timeout=limit)
    assert (ended.timed_out, said) == (late, ["a line", "rest"])
    assert late or ended.code == 3
    ran = commands.run(Path(), "sh", "-c", script, seconds=limit)
    assert ran == (commands.Ended(None, "", "") if late else commands.Ended(3, "a line\nrest", ""))
    assert time.monotonic() - begun < 40


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"/missing is no folder, and nothing can run there; make it first$"):
        commands.git(tmp_path / "missing", "status")
    with Children(1) as children, pytest.raises(OutputError, match="missing is no folder"):
        children.run(["true"], tmp_path / "missing", lambda _: None)


def test_all_that_a_command_prints_comes_at_once_and_whole() -> None:
    came: list[tuple[str, float]] = []
    script = "printf 'first\\r'; sleep 2; seq 200000; printf '\\303'; sleep 0.3; printf '\\244'"
    with Children(1) as children:
        children.run(["sh", "-c", script], Path(), lambda line: came.append((line, time.monotonic())))
    assert [line for line, _ in came] == ["first", *map(str, range(1, 200_001)), "\u00e4"]
    assert came[1][1] - came[0][1] > 1


def test_nothing_is_started_once_the_block_is_left() -> None:
    with Children(1) as children:
        pass
    with pytest.raises(StageFailed, match="the flow is being stopped"):
        children.run(["true"], Path(), lambda _: None)


def test_what_git_sets_for_its_hooks_sends_no_command_elsewhere(
    small: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(small.run("git", "rev-parse", "--local-env-vars").stdout.split()) <= variables.ELSEWHERE
    for name in ("GIT_DIR", "GIT_INDEX_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'user.name'='somebody else'")
    with Children(1) as children:
        assert children.run(["git", "config", "user.name"], small.folder, print).lines == ["test"]
        for arguments in (("repro",), ("exp", "save", "--name", "saved")):
            assert children.run(dvc(*arguments), small.folder, print).code == 0
    assert commands.git(small.folder, "config", "user.name").output == "test\n"
    assert small.run("dvc", "exp", "list", "--names-only").stdout == "saved\n"


def test_hints_of_dvc_are_not_logged(small: Project) -> None:
    said: list[str] = []
    with Children(1) as children:
        assert children.reproduce("made", small.folder, said.append, None) == "ran"
    assert said == [
        "Running stage 'made':",
        "> cp params.yaml made.txt",
        "Generating lock file 'dvc.lock'",
        "Updating lock file 'dvc.lock'",
    ]
