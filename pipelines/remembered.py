"""What was started here and stays: remembered in .degrain/servers, and ended with all that came of it.

A process is ended only where its number and the time of its start are those that were written down.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from degrain import files

FOLDER = Path(".degrain") / "servers"
WORKER = "worker-"
# Seconds until what is ended must be gone.
_END = 40.0


def write(project: Path, name: str, pid: int, port: int) -> None:
    """Write down that a process runs under a name, with its port; 0 if it has none."""
    files.write_json(project / FOLDER / f"{name}.json", {"pid": pid, "began": _began(pid), "port": port})


def names(project: Path) -> list[str]:
    """Return what was written down, whether it still runs or not."""
    return [path.stem for path in (project / FOLDER).glob("*.json")]


def read(project: Path, name: str) -> dict[str, int]:
    """Return number, start and port of what has a name; zeros if nothing has."""
    try:
        found = files.parse_json((project / FOLDER / f"{name}.json").read_text())
        return {key: int(found[key]) for key in ("pid", "began", "port")}
    except (OSError, ValueError, TypeError, KeyError):
        return {"pid": 0, "began": 0, "port": 0}


def runs(project: Path, name: str) -> bool:
    """Tell whether what was started under a name still runs."""
    told = read(project, name)
    return bool(told["pid"]) and _began(told["pid"]) == told["began"] != 0


def _began(pid: int) -> int:
    """When a process began, in ticks since the machine did; 0 if there is none, or it has ended."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return 0 if state == "Z" else int(rest[18])


def end(project: Path, name: str) -> bool:
    """End what was started under a name, with the runs of a worker; tell whether it ran."""
    ran, pid = runs(project, name), read(project, name)["pid"]
    if ran:
        left = _end_runs(pid) if name.startswith(WORKER) else {}
        for number, patience in ((signal.SIGTERM, _END), (signal.SIGKILL, 5.0)):
            _signal(pid, number, with_group=not name.startswith(WORKER))
            deadline = time.monotonic() + patience
            while runs(project, name) and time.monotonic() < deadline:
                _wait_a_little(pid)
        for child in _alive(left):
            _signal(child, signal.SIGKILL, with_group=False)
    (project / FOLDER / f"{name}.json").unlink(missing_ok=True)
    return ran


def _end_runs(worker: int) -> dict[int, int]:
    """End the runs of a worker, and give them time to clean up; return all of their processes and when these began."""
    # NOTE: it must take no other run meanwhile, and read what these print; a worker that ends first leaves its runs.
    _signal(worker, signal.SIGSTOP, with_group=False)
    try:
        family = _family(worker)
        began = {child: _began(child) for child in family}
        for child, parent in family.items():
            if parent == worker:
                # NOTE: not its group: a run that gets a second signal breaks off its cleaning up.
                _signal(child, signal.SIGTERM, with_group=False)
        deadline = time.monotonic() + _END
        while _alive(began) and time.monotonic() < deadline:
            time.sleep(0.1)
    finally:
        _signal(worker, signal.SIGCONT, with_group=False)
    return began


def _alive(began: Mapping[int, int]) -> list[int]:
    """Those of some processes that still are the ones that began then."""
    return [pid for pid, then in began.items() if _began(pid) == then != 0]


def _family(pid: int) -> dict[int, int]:
    """The processes that have come of one, each with its parent."""
    parents = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(place.parent.name)] = int(place.read_text().rpartition(")")[2].split()[1])
    family: dict[int, int] = {}
    pending = [pid]
    while pending:
        parent = pending.pop()
        children = [child for child, of in parents.items() if of == parent]
        family |= dict.fromkeys(children, parent)
        pending += children
    return family


def _signal(pid: int, number: int, with_group: bool) -> None:
    """Signal a process, on demand with its group if it leads one."""
    with suppress(ProcessLookupError):
        os.killpg(pid, number) if with_group and os.getpgid(pid) == pid else os.kill(pid, number)


def _wait_a_little(pid: int) -> None:
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    time.sleep(0.1)
