"""What the ledger has reaches MLflow, whatever the server does meanwhile, and training never waits for it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

from degrain.artifacts.history import Epoch
from degrain.artifacts.trial import DONE, Place
from degrain.errors import RegistryError
from degrain.params.study import Params
from degrain.patches.store import PatchStore
from degrain.registry import following, runs, tracking
from degrain.registry.following import Watched
from degrain.training.trial import expand
from degrain.trials import mirroring
from degrain.trials.ledger import Ledger
from degrain.trials.mirroring import Asked, mirrored
from tests.artifacts import records
from tests.conftest import BIN

EPOCHS = 40
Train = Callable[..., list[Epoch]]
PLACE = Place(device="cpu")


class Server:
    """MLflow's own server on loopback, on a SQLite file.

    Args:
        folder: Where it keeps everything.
        options: Further ones of its command line.
        variables: Further ones of its environment.
    """

    def __init__(self, folder: Path, *options: str, **variables: str) -> None:
        self.folder, self._options, self._variables = folder, options, variables
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [
            *(str(BIN / "mlflow"), "server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"),
            *("--backend-store-uri", f"sqlite:///{self.folder}/server.db"),
            *("--artifacts-destination", str(self.folder / "artifacts")),
            *self._options,
        ]
        log = (self.folder / "server.log").open("ab")
        self.process = subprocess.Popen(
            command, env=os.environ | self._variables, stdout=log, stderr=log, start_new_session=True
        )
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
def asked(study: Params, store: PatchStore) -> dict[str, Asked]:
    return mirroring.asked(expand(study.train, "unet"), lambda trial: trial.key(store, PLACE))


@pytest.fixture
def watched(study: Params, asked: dict[str, Asked]) -> Watched:
    return Watched(study.register_.name, study.study.name, asked, Ledger())


@pytest.fixture
def train(study: Params, store: PatchStore, watched: Watched) -> Train:
    """Leaves in the ledger what a trial leaves, epoch by epoch; returns these."""

    def leave(pause: float = 0.0, ends: bool = True, **change: Any) -> list[Epoch]:
        (trial,) = expand(study.train, "unet")
        ledger, (asked,) = watched.ledger, watched.trials.values()
        began = ledger.begin(asked.key, trial.settings(store))
        epochs = []
        for number in range(1, EPOCHS + 1):
            time.sleep(pause)
            epochs.append(Epoch(number, 1 / number, 0.5, 20.0 + number, 0.1, 9.0, 1.0, 100.0, 0.0, time.time()))
            ledger.add(asked.key, epochs[-1])
        if ends:
            told = {"key": asked.key, "place": PLACE, "state": DONE, "began": began, "sha256": {}} | change
            record = records.trial(**dict(trial.settings(store)) | {"epochs_done": EPOCHS, "epoch": EPOCHS} | told)
            ledger.record(record, epochs, {})
        return epochs

    return leave


def forever() -> bool:
    return True


def in_mlflow(watched: Watched) -> tuple[Any, list[tuple[int, float, int]]]:
    """The only run, and its curve: step, value and time of each point."""
    with tracking.connect() as client:
        (run,) = client.search_runs([tracking.experiment(client, watched.experiment)])
        found = client.get_metric_history(run.info.run_id, "val_psnr")
    return run, sorted((point.step, point.value, point.timestamp) for point in found)


def expected(epochs: list[Epoch]) -> list[tuple[int, float, int]]:
    return [(epoch.epoch, epoch.val_psnr, runs.milliseconds(epoch.ended)) for epoch in epochs]


def test_what_is_in_the_ledger_is_sent_once(watched: Watched, train: Train) -> None:
    epochs = train(ends=False)
    for _ in range(2):
        assert following.follow(watched, forever, once=True) == ["unet-adam-mse"]
    run, points = in_mlflow(watched)
    assert run.info.status == "RUNNING"
    assert points == expected(epochs)
    train()
    assert following.follow(watched, forever) == []
    run, again = in_mlflow(watched)
    assert run.info.status == "FINISHED"
    assert again == points


def damaged(path: Path) -> None:
    path.write_text(path.read_text().replace(",60.0,", ",99.9,"))


def of_bytes(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"1,\xff\xfe,3\n")


def set_aside(path: Path) -> None:
    path.parent.rename(path.parent.with_name(f"{path.parent.name}.damaged"))


@pytest.mark.parametrize("change", [damaged, of_bytes, set_aside, Path.unlink])
def test_an_entry_that_would_not_be_trained_from_is_not_sent(
    watched: Watched, train: Train, change: Callable[[Path], None]
) -> None:
    train()
    (asked,) = watched.trials.values()
    change(watched.ledger.folder / asked.key / "history.csv")
    assert following.follow(watched, forever, once=True) == ["unet-adam-mse"]
    with tracking.connect() as client:
        assert client.search_runs([tracking.experiment(client, watched.experiment)]) == []


@pytest.mark.parametrize("end", ["1,2", "nan,inf", "1,\xff", '"', "inf," * 9 + "0"])
def test_a_line_of_a_running_trial_that_is_not_whole_ends_what_is_known(
    watched: Watched, train: Train, end: str
) -> None:
    train(ends=False)
    (asked,) = watched.trials.values()
    with (watched.ledger.unfinished(asked.key) / "history.csv").open("a", encoding="latin-1") as file:
        file.write(f"{end}\n")
    seen = watched.look("unet-adam-mse")
    assert seen is not None
    assert len(seen.epochs) == EPOCHS


def test_a_trial_of_another_machine_is_not_taken_for_this_one(
    watched: Watched, train: Train, study: Params, store: PatchStore
) -> None:
    train()
    other = Place(device="cpu", machine="another")
    asked = mirroring.asked(expand(study.train, "unet"), lambda trial: trial.key(store, other))
    assert replace(watched, trials=asked).look("unet-adam-mse") is None


def test_what_mlflow_refuses_of_one_trial_keeps_no_other_back(
    watched: Watched, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    train()
    (asked,) = watched.trials.values()
    trials = {"a": asked, "b": asked._replace(key="other"), "c": asked}
    send, sent = runs.Mirror.send, []

    def refuse_first(self: runs.Mirror, seen: runs.Seen) -> str:
        if not sent:
            sent.append("refused")
            raise MlflowException("no other value", error_code=INVALID_PARAMETER_VALUE)
        sent.append("sent")
        return send(self, seen)

    monkeypatch.setattr(runs.Mirror, "send", refuse_first)
    with pytest.raises(RegistryError, match=r"^MLflow refuses a: .*no other value$"):
        following.follow(replace(watched, trials=trials), forever, once=True)
    assert sent == ["refused", "sent"]


def test_a_server_that_is_not_there_is_one_line_in_the_end(
    watched: Watched, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    train()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    until = time.monotonic() + 2
    with pytest.raises(RegistryError, match=r"^MLflow at http://127\.0\.0\.1:9 does not answer: .*refused"):
        following.follow(watched, lambda: time.monotonic() < until)


def test_training_does_not_wait_for_a_server_that_is_not_there(
    study: Params, asked: dict[str, Asked], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setattr("degrain.trials.mirroring.PATIENCE", 1.0)
    with mirrored(study, asked):
        pass
    (said,) = caplog.messages
    assert said == ("not all trials are in MLflow at http://127.0.0.1:9 yet; to complete it, run: degrain publish")


def test_without_a_server_nothing_is_started(
    study: Params, asked: dict[str, Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "Popen", None)
    with mirrored(study, asked):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("outage", ["killed", "stopped", "stopped and killed"])
def test_an_outage_loses_nothing_and_doubles_nothing(
    server: Server, watched: Watched, train: Train, monkeypatch: pytest.MonkeyPatch, outage: str
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
    epochs = train(pause=0.25)
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
    server: Server, study: Params, watched: Watched, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    # NOTE: the mirror has the lowest priority, and a busy machine may need longer for it.
    monkeypatch.setattr("degrain.trials.mirroring.PATIENCE", 120.0)
    with mirrored(study, watched.trials):
        epochs = train(pause=0.25)
    run, points = in_mlflow(watched)
    assert (run.info.status, points) == ("FINISHED", expected(epochs))
