"""What the Prefect flow costs over `dvc repro`, what stages side by side gain, and what a remote stage takes."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.common import table
from pipelines.addresses import free_port

ROOT = Path(__file__).parent.parent
# One trial for each of two stages, so that neither can use two processes by itself.
STUDY = (
    "study.name=bench",
    "train.models=[unet,sinha2018]",
    "train.optimizers=[adam]",
    "train.losses=[mse]",
    "train.epochs=2",
    "evaluate.baselines=[]",
)
CONDUCTOR = (sys.executable, "-m", "pipelines.reproduce")
DVC = (sys.executable, "-m", "dvc")
Ways = Mapping[str, Callable[[], None]]


class Bench:
    """A clone of the project with a study of its own.

    Args:
        folder: Of the clone.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        own = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(folder / "src"),
        }
        dropped = ("PREFECT_", "MLFLOW_", "DEGRAIN_", "GIT_")
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(dropped)} | own
        self._seed = 100

    def run(self, *command: str, **variables: str) -> None:
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment | variables, capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"{' '.join(command)}: {done.stdout}{done.stderr}")

    def seed(self) -> str:
        """An override by which nothing is taken from the ledger."""
        self._seed += 1
        return f"train.seeds=[{self._seed}]"

    def set(self, *overrides: str) -> None:
        from dvc.utils.hydra import apply_overrides

        apply_overrides(self.folder / "params.yaml", list(overrides))


def together(*actions: Callable[[], None]) -> None:
    threads = [threading.Thread(target=action) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@contextmanager
def _worker(bench: Bench, variables: dict[str, str]) -> Iterator[None]:
    command = (sys.executable, "-m", "pipelines.servers", "worker", "--pool", "gpu")
    worker = subprocess.Popen(
        command,
        cwd=bench.folder,
        env=bench.environment | variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    )
    try:
        yield
    finally:
        worker.terminate()
        worker.wait()


def _print(title: str, timed: dict[str, list[float]]) -> None:
    print(f"{title}\n")
    table(
        ("", "seconds, median (least to most)"),
        [(name, f"{statistics.median(each):.1f} ({min(each):.1f} to {max(each):.1f})") for name, each in timed.items()],
    )
    print(flush=True)


def run(rounds: int = 3) -> None:
    """Print the tables.

    Args:
        rounds: How often each is timed, one after the other in turn.
    """
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(Path(scratch) / "project")
        subprocess.run(["git", "clone", "-q", str(ROOT), str(bench.folder)], check=True)
        bench.set(*STUDY)
        for command in (
            (*DVC, "remote", "add", "-q", "--default", "shared", str(Path(scratch) / "remote")),
            (*DVC, "repro", "-q"),
            ("git", "config", "user.name", "benchmark"),
            ("git", "config", "user.email", "benchmark@localhost"),
            ("git", "remote", "remove", "origin"),
            ("git", "add", "-A"),
            ("git", "commit", "-qm", "benchmark"),
        ):
            bench.run(*command)
        port = free_port()
        server = {"PREFECT_API_URL": f"http://127.0.0.1:{port}/api"}
        servers = (sys.executable, "-m", "pipelines.servers")
        bench.run(*servers, "up", PREFECT_PORT=str(port), MLFLOW_PORT=str(free_port()))
        try:
            bench.run(*servers, "deploy", **server)
            _overhead(bench, server, rounds)
            _side_by_side(bench, server, rounds)
            with _worker(bench, server):
                _remote(bench, server, rounds)
        finally:
            bench.run(*servers, "down")


def _overhead(bench: Bench, server: dict[str, str], rounds: int) -> None:
    """The whole graph, up to date."""
    ways = {
        "`dvc repro`": lambda: bench.run(*DVC, "repro", "-q"),
        "flow, in the project's folder": lambda: bench.run(*CONDUCTOR, "--publish", "here", **server),
        "flow, in a workspace, to the report; an experiment, pushed": lambda: bench.run(
            *CONDUCTOR, "--target", "report", **server
        ),
    }
    _print("A graph that is up to date, with a running server:", in_turn(ways, rounds))


def _side_by_side(bench: Bench, server: dict[str, str], rounds: int) -> None:
    """Two trainings of one trial each: what cores can gain at all is what two processes gain that share nothing."""
    models = ("unet", "sinha2018")
    stages = [f"train@{model}" for model in models]

    def train(model: str, threads: int) -> None:
        bench.run(sys.executable, "-m", "degrain", "train", "--model", model, DEGRAIN_THREADS=str(threads))

    def one_after_the_other() -> None:
        for model in models:
            train(model, os.cpu_count() or 1)

    def at_once() -> None:
        threads = max(1, (os.cpu_count() or 1) // len(models))
        together(*(partial(train, model, threads) for model in models))

    ways = {
        "`dvc repro`, one after the other": lambda: bench.run(*DVC, "repro", "-q", *stages),
        "flow, side by side": lambda: bench.run(*CONDUCTOR, "--publish", "here", "--target", "train", **server),
        "two `degrain train`, one after the other, all threads each": one_after_the_other,
        "two `degrain train` at once, half of the threads each": at_once,
    }
    timed = in_turn(ways, rounds, lambda: bench.set(bench.seed()))
    _print("Two stages of one trial each, on the same cores:", timed)
    serial, flow, one, apart = (statistics.median(each) for each in timed.values())
    print(f"The flow is {serial / flow:.2f} times as fast as `dvc repro`.")
    print(f"Processes that share nothing gain {one / apart:.2f} times.\n")


def _remote(bench: Bench, server: dict[str, str], rounds: int) -> None:
    """A stage on a worker of the same machine, against the same stage in the conductor."""

    def trained(*options: str) -> None:
        bench.run(*CONDUCTOR, "--target", "train@unet", "-S", bench.seed(), *options, **server)

    ways: Ways = {"by the conductor": trained, "by a worker of a pool": partial(trained, "--pools", "gpu")}
    timed = in_turn(ways, rounds)
    _print("A run of one training, in a workspace:", timed)
    here, there = (statistics.median(each) for each in timed.values())
    print(f"To send a stage and take it back costs {there - here:.1f} s.")


def in_turn(ways: Ways, rounds: int, before: Callable[[], None] = lambda: None) -> dict[str, list[float]]:
    """Time each way so many times, one after the other, since machines are not equally fast all the time."""
    timed: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            before()
            started = time.perf_counter()
            way()
            timed[name].append(time.perf_counter() - started)
    return timed
