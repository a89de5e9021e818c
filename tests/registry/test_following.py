"""What the ledger has reaches MLflow, whatever the server does meanwhile, and training never waits for it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from degrain.artifacts.history import Epoch
from degrain.artifacts.trial import DONE, Place
from degrain.errors import RegistryError
from degrain.params.study import Params
from degrain.patches.store import PatchStore
from degrain.provenance import digests
from degrain.registry import following, runs, tracking
from degrain.registry.following import Watched
from degrain.training.trial import Trial, expand
from degrain.trials.ledger import Ledger
from degrain.trials.mirroring import mirrored
from tests.artifacts import records
from tests.conftest import BIN

EPOCHS = 40
PLACE = Place(device="cpu")


class Server:
    """MLflow's own server on loopback, on a SQLite file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [
            *(str(BIN / "mlflow"), "server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"),
            *("--backend-store-uri", f"sqlite:///{self.folder}/server.db"),
            *("--artifacts-destination", str(self.folder / "artifacts")),
        ]
        log = (self.folder / "server.log").open("ab")
        self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        for _ in range(1200):
            try:
                if httpx.get(f"{self.uri}/health", timeout=5).status_code == 200:
                    return
            except httpx.HTTPError:
                time.sleep(0.1)
        raise AssertionError((self.folder / "server.log").read_text())

    def send(self, number: signal.Signals) -> None:
        assert self.process
        os.killpg(self.process.pid, number)

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.send(signal.SIGKILL)
            self.process.wait()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def study(project: Path, make_params: Callable[..., Params], store: PatchStore) -> Params:
    return make_params(
        prepare=store.record.params.model_dump(mode="json"),
        train={"models": ["unet"], "optimizers": ["adam"], "losses": ["mse"], "epochs": EPOCHS},
    )


@pytest.fixture
def watched(study: Params, store: PatchStore) -> Watched:
    return Watched(study, store, Ledger())


def train(watched: Watched, pause: float = 0.0, ends: bool = True) -> tuple[Trial, list[Epoch]]:
    """Leave in the ledger what a trial leaves, epoch by epoch."""
    (trial,) = expand(watched.params.train, "unet")
    store, ledger, versions = watched.store, watched.ledger, digests.versions(trial_code(watched))
    key = trial.key(store, PLACE)
    began = ledger.begin(key, trial.settings(store), PLACE, versions)
    epochs = []
    for number in range(1, EPOCHS + 1):
        time.sleep(pause)
        epochs.append(Epoch(number, 1 / number, 0.5, 20.0 + number, 0.1, 9.0, 1.0, 100.0, 0.0, time.time()))
        ledger.add(key, epochs[-1])
    if ends:
        told = {"key": key, "place": PLACE, "versions": versions, "state": DONE, "began": began, "sha256": {}}
        record = records.trial(**dict(trial.settings(store)) | told | {"epochs_done": EPOCHS, "epoch": EPOCHS})
        ledger.record(record, epochs, {})
    return trial, epochs


def trial_code(watched: Watched) -> Any:
    (trial,) = expand(watched.params.train, "unet")
    return trial.code(watched.store.noise)


def forever() -> bool:
    return True


def in_mlflow(watched: Watched) -> tuple[Any, list[tuple[int, float, int]]]:
    """The only run, and its curve: step, value and time of each point."""
    with tracking.connect() as client:
        (run,) = client.search_runs([tracking.experiment(client, watched.params.register_.name)])
        found = client.get_metric_history(run.info.run_id, "val_psnr")
    return run, sorted((point.step, point.value, point.timestamp) for point in found)


def expected(epochs: list[Epoch]) -> list[tuple[int, float, int]]:
    return [(epoch.epoch, epoch.val_psnr, runs.milliseconds(epoch.ended)) for epoch in epochs]


def test_what_is_in_the_ledger_is_sent_once(watched: Watched) -> None:
    _, epochs = train(watched, ends=False)
    for _ in range(2):
        assert following.follow(watched, forever, once=True) == ["unet-adam-mse"]
    run, points = in_mlflow(watched)
    assert run.info.status == "RUNNING"
    assert points == expected(epochs)
    _, epochs = train(watched)
    assert following.follow(watched, forever) == []
    run, again = in_mlflow(watched)
    assert run.info.status == "FINISHED"
    assert again == points


def test_trials_of_other_studies_data_and_code_are_not_sent(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    train(watched)
    assert set(watched.look()) == {"unet-adam-mse"}
    for change in ({"epochs": EPOCHS + 1}, {"seeds": [5]}, {"losses": ["mae"]}):
        train_params = watched.params.train.model_validate(watched.params.train.model_dump() | change)
        other = watched.params.model_copy(update={"train": train_params})
        assert Watched(other, watched.store, watched.ledger).look() == {}
    monkeypatch.setattr(digests, "code", lambda _: {"changed": "code"})
    assert Watched(watched.params, watched.store, watched.ledger).look() == {}


def test_a_server_that_is_not_there_is_one_line_in_the_end(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    train(watched)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    until = time.monotonic() + 2
    with pytest.raises(RegistryError, match=r"^MLflow at http://127\.0\.0\.1:9 does not answer: .*refused"):
        following.follow(watched, lambda: time.monotonic() < until)


def test_training_does_not_wait_for_a_server_that_is_not_there(
    study: Params, store: PatchStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with mirrored(study, store.folder):
        pass
    (said,) = caplog.messages
    assert said == ("not all trials are in MLflow at http://127.0.0.1:9 yet; to complete it, run: degrain publish")


def test_without_a_server_nothing_is_started(study: Params, store: PatchStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", None)
    with mirrored(study, store.folder):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("outage", ["killed", "stopped", "stopped and killed"])
def test_an_outage_loses_nothing_and_doubles_nothing(
    server: Server, watched: Watched, monkeypatch: pytest.MonkeyPatch, outage: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    left: list[Any] = []
    follower = threading.Thread(target=lambda: left.append(following.follow(watched, forever)))
    follower.start()

    def disturb() -> None:
        time.sleep(3)
        if "stopped" in outage:
            server.send(signal.SIGSTOP)
            time.sleep(13)  # longer than an answer is waited for
        if outage == "stopped":
            server.send(signal.SIGCONT)
            return
        server.stop()
        time.sleep(3)
        server.start()

    disturber = threading.Thread(target=disturb)
    disturber.start()
    began = time.time()
    _, epochs = train(watched, pause=0.25)
    ended = time.time()
    disturber.join()
    follower.join(120)
    assert left == [[]]
    run, points = in_mlflow(watched)
    assert points == expected(epochs)
    assert run.info.status == "FINISHED"
    assert began - 1 <= run.info.start_time / 1000 <= run.info.end_time / 1000 <= ended + 1


@pytest.mark.slow
def test_train_mirrors_itself_where_a_server_is_named(
    server: Server, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    with mirrored(watched.params, watched.store.folder):
        _, epochs = train(watched, pause=0.25)
    run, points = in_mlflow(watched)
    assert (run.info.status, points) == ("FINISHED", expected(epochs))
