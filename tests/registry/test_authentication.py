"""A registry with accounts, as a team has it: who has one registers, and who has none is told so in one line."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from degrain.errors import Unauthenticated
from degrain.registry import aliases, following, publishing, tags, tracking
from degrain.trials.ledger import Ledger
from degrain.trials.mirroring import Asked
from tests.artifacts import records
from tests.conftest import ROOT
from tests.registry.test_following import Server
from tests.test_cli import degrain_here

USER, PASSWORD = "admin", "password-of-the-admin"


@pytest.fixture
def server(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The server that is set, configured as in docker-compose.yml but for its database."""
    settings = (ROOT / "team" / "basic_auth.ini").read_text()
    config = project / "basic_auth.ini"
    config.write_text(settings.replace("postgresql+psycopg2://degrain@postgres/mlflow_auth", "sqlite:///accounts.db"))
    server = Server(
        project,
        *("--app-name", "basic-auth"),
        MLFLOW_AUTH_CONFIG_PATH=str(config),
        MLFLOW_AUTH_ADMIN_USERNAME=USER,
        MLFLOW_AUTH_ADMIN_PASSWORD=PASSWORD,
        MLFLOW_FLASK_SERVER_SECRET_KEY="signs forms",
        MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false",  # nine processes that are of no use here
    )
    server.start()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    yield server
    server.stop()


def log_in(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", USER)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", password)


def register() -> None:
    """Publish a run with a model, and register that."""
    with tracking.connect() as client:
        run = client.create_run(tracking.experiment(client, "tiny")).info.run_id
        made = records.model(Path("model"), "weights", key="key")
        source = publishing.log_model(client, run, Path("model"), made, {})
        scored = {tags.score("test_psnr"): "30.0", tags.DATA: "d" * 64}
        aliases.register(client, "tiny", source, run, records.version_tags(made, Path("model")) | scored)


def promote() -> subprocess.CompletedProcess[str]:
    return degrain_here(Path(), "promote", "1", "--name", "tiny", "--reason", "it is the first")


@pytest.mark.slow
def test_who_has_an_account_registers_and_who_has_none_is_told(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    asks = (
        f"MLflow at {server.uri} asks for an account: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD "
        "to a user and a password that it accepts"
    )
    with pytest.raises(Unauthenticated, match=asks):
        register()
    for password in ("", "not-the-password"):
        if password:
            log_in(monkeypatch, password)
        told = promote()
        assert (told.returncode, told.stdout, told.stderr) == (2, "", f"degrain: {asks}\n")
    log_in(monkeypatch, PASSWORD)
    register()
    told = promote()
    assert (told.returncode, PASSWORD in told.stdout + told.stderr) == (0, False), told.stderr
    with tracking.connect() as client:
        assert aliases.number(aliases.current(client, "tiny")) == "1"
    log_in(monkeypatch, "not-the-password")
    watched = following.Watched("tiny", "tiny", {"a": Asked("key", "adam", "mse")}, Ledger())
    with pytest.raises(Unauthenticated, match=asks):
        following.follow(watched, lambda: True)  # does not ask again for ever
