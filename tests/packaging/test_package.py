"""A packaged model: loaded without degrain and PyTorch, the same bytes every time, and served by MLflow."""

from __future__ import annotations

import base64
import errno
import hashlib
import io
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import mlflow.pyfunc
import numpy as np
import pytest
import yaml
from mlflow.exceptions import MlflowException
from PIL import Image

from degrain import files
from degrain.artifacts.trial import TRIAL, WEIGHTS
from degrain.errors import ModelError, OutputError
from degrain.inference.denoiser import Denoiser
from degrain.packaging import layout, onnx_export, package
from tests.artifacts import records
from tests.conftest import BIN, ROOT, picture
from tests.packaging import packages

# Runs where neither degrain nor PyTorch can be imported, and nothing can be unpickled.
CLEAN = """
import builtins, pickle, sys

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "degrain", "onnx", "cv2", "skimage", "safetensors"):
            raise ImportError(f"{name} is not installed here")

def refused(*_, **__):
    raise AssertionError("something was unpickled")

sys.meta_path.insert(0, Refusing())
import cloudpickle
import mlflow.pyfunc
import numpy as np

for module in (pickle, cloudpickle):
    module.load = module.loads = refused
model = mlflow.pyfunc.load_model(sys.argv[1])
noisy = np.load(sys.argv[2], allow_pickle=False)
(denoised,) = model.predict([noisy])
np.save(sys.argv[3], denoised, allow_pickle=False)
assert not {"torch", "degrain"} & {name.partition(".")[0] for name in sys.modules}
"""


def environment() -> dict[str, str]:
    """Of a process that finds no degrain."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MLFLOW", "DEGRAIN"))}
    return kept | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "MLFLOW_DISABLE_TELEMETRY": "true"}


def test_it_loads_where_neither_degrain_nor_pytorch_is(packaged: Path, tmp_path: Path) -> None:
    noisy = picture(2, 62, 63)
    np.save(tmp_path / "noisy.npy", noisy)
    arguments = [str(packaged), str(tmp_path / "noisy.npy"), str(tmp_path / "denoised.npy")]
    done = subprocess.run(
        [sys.executable, "-I", "-B", "-c", CLEAN, *arguments],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Any type hint" not in done.stderr
    found = np.load(tmp_path / "denoised.npy")
    assert np.abs(found.astype(int) - Denoiser.load(packaged).image(noisy)).max() <= 1


def test_it_holds_what_degrain_and_mlflow_load_and_nothing_else(packaged: Path) -> None:
    assert {path.relative_to(packaged).as_posix() for path in files.tree(packaged)} == {
        "MLmodel",
        "README.md",
        "artifacts/network.onnx",
        "conda.yaml",
        "denoise_model.py",
        "examples/1.png",
        "examples/2.png",
        "python_env.yaml",
        "requirements.txt",
        "trial.json",
        "weights.safetensors",
    }
    required = (packaged / "requirements.txt").read_text().split()
    assert [line.partition("==")[0] for line in required] == list(package.REQUIRED)
    assert sum(path.stat().st_size for path in files.tree(packaged / "examples")) < 500_000
    Image.open(packaged / "examples" / "1.png").verify()


def test_no_file_of_it_names_a_folder_of_this_machine(packaged: Path) -> None:
    named = {Path.home(), ROOT, Path(sys.prefix), Path(sys.executable).parent, packaged.parent, Path("/tmp")}
    for path in files.tree(packaged):
        content = path.read_bytes()
        assert not [folder for folder in named if os.fsencode(folder) + b"/" in content], path
        assert b"site-packages" not in content


def test_the_same_trial_gives_the_same_bytes(packaged: Path, tmp_path: Path) -> None:
    made = packages.trial(tmp_path / "trial")
    package.write(tmp_path / "again", tmp_path / "trial", packages.facts(made), packaged.parent / "photographs")
    assert files.tree_digest(tmp_path / "again") == files.tree_digest(packaged)
    described = yaml.safe_load((packaged / layout.MLMODEL).read_text())
    assert described["model_uuid"] == str(made.weights_sha256)[:32]
    assert described["utc_time_created"] == "2026-11-30 00:53:20.500000"


def test_a_trial_that_was_changed_meanwhile_is_refused(tmp_path: Path) -> None:
    made = packages.trial(tmp_path / "trial", "machinecurve2019")
    facts = packages.facts(made)
    records.rewrite(tmp_path / "trial" / TRIAL, seed=5)
    with pytest.raises(ModelError, match="has changed while it was used"):
        package.write(tmp_path / "champion", tmp_path / "trial", facts, tmp_path / "nothing")
    assert not (tmp_path / "champion").exists()
    (tmp_path / "trial" / WEIGHTS).write_bytes(b"")
    with pytest.raises(ModelError, match="damaged"):
        package.write(tmp_path / "champion", tmp_path / "trial", facts, tmp_path / "nothing")


def test_a_full_disk_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    made = packages.trial(tmp_path / "trial", "machinecurve2019")
    monkeypatch.setattr(shutil, "copyfile", full)  # by which MLflow copies, and tells the error in words of its own
    with pytest.raises(OutputError, match=r"^cannot write .*champion: No space left on device$"):
        package.write(tmp_path / "champion", tmp_path / "trial", packages.facts(made), tmp_path / "nothing")
    assert [path.name for path in tmp_path.iterdir()] == ["trial"]


def test_a_package_without_photographs_has_no_examples(tmp_path: Path) -> None:
    made = packages.trial(tmp_path / "trial", "machinecurve2019")
    package.write(tmp_path / "champion", tmp_path / "trial", packages.facts(made), tmp_path / "nothing")
    assert not (tmp_path / "champion" / layout.EXAMPLES).exists()
    assert "![" not in (tmp_path / "champion" / layout.CARD).read_text()


@contextmanager
def served(folder: Path, log: Path) -> Iterator[str]:
    """MLflow's own server on loopback; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["mlflow", "models", "serve", "--model-uri", str(folder), "--port", str(port), "--env-manager", "local"]
    with log.open("wb") as output:
        server = subprocess.Popen(command, cwd=log.parent, env=environment(), stdout=output, stderr=output)
        try:
            address = f"http://127.0.0.1:{port}"
            _wait(address, server, log)
            yield address
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _wait(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        assert server.poll() is None, log.read_text()
        try:
            if httpx.get(f"{address}/ping", timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise AssertionError(log.read_text())


@pytest.mark.slow
def test_mlflows_server_answers_images_and_refuses_the_rest(packaged: Path, tmp_path: Path) -> None:
    noisy, denoiser = picture(3, 62, 63), Denoiser.load(packaged)
    expected = denoiser.image(noisy).astype(int)
    buffer = io.BytesIO()
    Image.fromarray(noisy).save(buffer, "PNG")
    (tmp_path / "noisy.png").write_bytes(buffer.getvalue())
    with served(packaged, tmp_path / "log") as address:

        def ask(inputs: Any) -> httpx.Response:
            return httpx.post(f"{address}/invocations", json={"inputs": inputs}, timeout=60)

        text = base64.b64encode(buffer.getvalue()).decode()
        answer = ask([text, noisy.tolist()])
        assert answer.status_code == 200, answer.text
        file, numbers = answer.json()["predictions"]
        shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(file))))
        assert np.abs(shown.astype(int) - expected).max() <= 1
        assert np.abs(np.array(numbers) - expected).max() <= 1
        for inputs, words in (
            (["#!" * 50_000], "image 0: its text is no base64"),
            ([text, [[1, 2], [3]]], "image 1: its lists are not of equal length"),
            ([], "the list of images is empty"),
            ({"image": text}, "give a list of images, not an object"),
        ):
            refused = ask(inputs)
            assert refused.status_code == 400, refused.text
            assert words in refused.text
            assert "Traceback" not in refused.text
            assert "/" not in refused.text
            assert len(refused.text) < 250
        for page in (packaged / layout.CARD, ROOT / "docs" / "serving.md"):
            assert decoded(as_written(page, address, tmp_path)).shape == noisy.shape, page


def as_written(page: Path, address: str, folder: Path) -> str:
    """Run the command with curl of a page, with the server's address."""
    commands = [block for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL) if "curl" in block]
    command = commands[0][commands[0].index("(printf") :]
    assert "http://127.0.0.1:5001/" in command
    script = command.replace("http://127.0.0.1:5001", address)
    done = subprocess.run(["sh", "-c", script], cwd=folder, capture_output=True, text=True, check=True)
    saved = folder / "denoised.png"
    return base64.b64encode(saved.read_bytes()).decode() if saved.exists() else done.stdout


def decoded(answer: str) -> np.ndarray:
    if answer.startswith("{"):
        answer = httpx.Response(200, text=answer).json()["predictions"][0]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(answer))))


def test_a_network_that_is_damaged_or_of_another_model_is_not_served(packaged: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(packaged, tmp_path / "copy")
    network = copy / layout.NETWORK
    whole = network.read_bytes()
    other = onnx_export.export(packages.denoiser("unet"))
    flipped = [
        whole[:place] + bytes([whole[place] ^ 0x40]) + whole[place + 1 :]
        for place in np.random.default_rng(0).integers(len(whole), size=20)
    ]
    for content in (*flipped, whole[: len(whole) // 2], b"", other):
        network.write_bytes(content)
        with pytest.raises(MlflowException, match=r"^network\.onnx is damaged, or that of another model$"):
            mlflow.pyfunc.load_model(str(copy))
    network.write_bytes(whole)
    assert mlflow.pyfunc.load_model(str(copy)).predict([picture(1, 20, 30)])[0].shape == (20, 30, 3)


def test_tags_are_digests_of_its_files(packaged: Path) -> None:
    from degrain.registry import tags

    made = packages.facts(records.trial()).trial
    written = tags.written(made, {}, "", packaged)
    assert written[tags.CODE] == hashlib.sha256((packaged / "denoise_model.py").read_bytes()).hexdigest()
    assert written[tags.PACKAGE] == files.tree_digest(packaged)
