"""The team's buckets are made once, and copied to a folder and back."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.conftest import ROOT

NAMES = {"DEGRAIN_DVC_BUCKET": "dvc", "DEGRAIN_MLFLOW_BUCKET": "mlflow"}
KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    yield f"http://{host}:{port}"
    server.stop()


def buckets(server: str, *arguments: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, ROOT / "team" / "buckets.py", *arguments],
        env=NAMES | KEYS | {"AWS_ENDPOINT_URL_S3": server},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_buckets_are_made_once_and_come_back_from_a_copy(server: str, tmp_path: Path) -> None:
    s3 = boto3.client("s3", endpoint_url=server)
    assert buckets(server, "make") == "2 of 2 buckets made"
    assert buckets(server, "make") == "0 of 2 buckets made"

    s3.put_object(Bucket="dvc", Key="files/md5/aa/bb", Body=b"data")
    s3.put_object(Bucket="mlflow", Key="1/run/artifacts/é.txt", Body=b"figure")
    assert buckets(server, "save", tmp_path) == "2 files copied"
    assert buckets(server, "save", tmp_path) == "0 files copied"
    s3.put_object(Bucket="dvc", Key="files/md5/aa/bb", Body=b"longer")
    assert buckets(server, "save", tmp_path) == "1 files copied"

    for bucket, key in (("dvc", "files/md5/aa/bb"), ("mlflow", "1/run/artifacts/é.txt")):
        s3.delete_object(Bucket=bucket, Key=key)
        s3.delete_bucket(Bucket=bucket)
    assert buckets(server, "load", tmp_path) == "2 files copied"
    assert buckets(server, "load", tmp_path) == "0 files copied"
    assert s3.get_object(Bucket="dvc", Key="files/md5/aa/bb")["Body"].read() == b"longer"
    assert s3.get_object(Bucket="mlflow", Key="1/run/artifacts/é.txt")["Body"].read() == b"figure"


def test_an_unknown_verb_is_answered_with_what_there_is() -> None:
    for arguments in ((), ("delete",), ("save",)):
        command = [sys.executable, ROOT / "team" / "buckets.py", *arguments]
        done = subprocess.run(command, env=NAMES | KEYS, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "python buckets.py save FOLDER" in done.stderr
