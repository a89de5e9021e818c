"""The command line: a mistake is one line and exit code 2, and nothing is lost."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from degrain.cli.main import main
from degrain.ingest.formats import reading, writing
from degrain.ingest.formats.picture import Picture
from degrain.params.data import DataParams
from tests.artifacts import records
from tests.conftest import BIN, merged, picture, save
from tests.inference.test_denoiser import package


@pytest.fixture
def folder(tmp_path: Path, tiny: dict[str, Any]) -> Path:
    """A folder with params.yaml and untrained U-Nets, which give back what they get: of images, and of mosaics."""
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(tiny))
    for name, channels in (("model", 3), ("mosaics", 4)):
        package(tmp_path / name, "unet", channels)
    return tmp_path


def degrain(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a user does."""
    return subprocess.run(
        [str(BIN / "degrain"), *arguments],
        cwd=folder,
        env=os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "160"} | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def degrain_here(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in this process, which has PyTorch loaded already: that takes most of a short command's time."""
    log = logging.getLogger("degrain")
    before = log.handlers, log.level, log.propagate
    out, errors = io.StringIO(), io.StringIO()
    try:
        with chdir(folder), redirect_stdout(out), redirect_stderr(errors):
            main(arguments)
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(bool(ended.code))
    finally:
        log.handlers, log.level, log.propagate = before
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), errors.getvalue())


def assert_one_line(done: subprocess.CompletedProcess[str], words: str) -> None:
    assert done.returncode == 2, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("degrain: ")
    assert words in lines[0]


@pytest.mark.parametrize("stage", ["download", "validate", "prepare", "evaluate", "report", "register"])
def test_every_stage_refuses_a_misspelt_parameter(folder: Path, tiny: dict[str, Any], stage: str) -> None:
    (folder / "params.yaml").write_text(yaml.safe_dump(merged(tiny, {"train": {"epoch": 3}})))
    assert_one_line(degrain_here(folder, stage), "train.epoch is not a parameter; did you mean 'epochs'?")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "--model", "unt"], "'unt' is not in train.models"),
        (["validate"], "data/raw/photos/source.json is missing; run: dvc repro download"),
        (["prepare"], "data/validated/validation.json is missing"),
        (["evaluate"], "data/validated/validation.json is missing"),
        (["denoise", "gone.png", "x.png"], "gone.png does not exist"),
        (["denoise", "good.png", "x.png", "--model", "nothing"], "no model 'nothing'"),
        (["denoise", "good.png", "x.png", "--model", "empty"], "empty holds no trained model"),
        (["denoise", "good.png", "good.png", "--model", "model"], "good.png is the input itself"),
        (["denoise", "good.png", "x.webm", "--model", "model"], "must end with"),
        (["denoise", "empty", "out", "--model", "model"], "empty holds no image"),
        (
            ["denoise", "good.png", "x.png", "--precision", "float16"],
            "--precision: 'float16' is not auto, float32 or bfloat16",
        ),
        (["denoise", "good.png", "x.png", "--resize", "342"], "--resize: '342' is not a width and a height in pixels"),
        (
            ["denoise", "good.png", "x.png", "--crop", "96x128", "--model", "model"],
            "good.png has 128x96 pixels; --crop 96x128 is larger",
        ),
        (["denoise", "broken.png", "x.png", "--model", "model"], "broken.png is damaged"),
        (["denoise", "good.png", "params.yaml/x.png", "--model", "model"], "cannot write params.yaml/x.png"),
        (["denoise", "good.png", "x.png", "--model", "mosaics"], "mosaics denoises Bayer mosaics, not gray or color"),
        (["sidd-submission", "good.png", "x.csv", "--model", "model"], "good.png is no MATLAB file of blocks"),
        (["check", "--params", "other.yaml"], "other.yaml is not here"),
        (["check", "--params", "empty"], "cannot read empty"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_two(folder: Path, arguments: list[str], words: str) -> None:
    (folder / "empty").mkdir()
    whole = save(folder / "good.png", picture(0)).read_bytes()
    (folder / "broken.png").write_bytes(whole[:-500])
    done = degrain_here(folder, *arguments)
    assert_one_line(done, words)
    assert (folder / "good.png").read_bytes() == whole


LONG = "x" * 300
TOO_LONG = "File name too long"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["denoise", "good.png", f"{LONG}.png"], f"cannot write {LONG}.png: {TOO_LONG}"),
        (["denoise", "good.png", LONG], f"cannot write {LONG}/good.png: {TOO_LONG}"),
        (["denoise", "good.png", f"{LONG}/x.png"], f"cannot write {LONG}/x.png: {TOO_LONG}"),
        (["denoise", "good.png", f"out/{LONG}/x.png"], f"cannot write out/{LONG}/x.png: {TOO_LONG}"),
        (["denoise", "good.png", "y/" * 2500 + "x.png"], TOO_LONG),
        (["denoise", "in", LONG], f"cannot write {LONG}: {TOO_LONG}"),
        (["denoise", f"{LONG}.png", "x.png"], f"{LONG}.png cannot be read: {TOO_LONG}"),
        (["denoise", f"{LONG}/x.png", "x.png"], f"{LONG}/x.png cannot be read: {TOO_LONG}"),
        (["denoise", "good.png", "x.png", "--model", LONG], f"no model '{LONG}'"),
        (["denoise", "good.png", "x.png", "--model", f"{LONG}/y"], f"no model '{LONG}/y'"),
        (["denoise", "good.png", "x.png", "--params", LONG], f"cannot read {LONG}: {TOO_LONG}"),
        (["check", "--params", f"{LONG}/y"], f"cannot read {LONG}/y: {TOO_LONG}"),
        (["sidd-submission", f"{LONG}.mat", "x.csv", "--model", "model"], f"cannot read {LONG}.mat: {TOO_LONG}"),
        (["sidd-validation", LONG, "--model", "model"], TOO_LONG),
        (["reproductions", "--folder", LONG], TOO_LONG),
    ],
)
def test_a_name_that_is_too_long_is_one_line(folder: Path, arguments: list[str], words: str) -> None:
    for name in ("good.png", "in/good.png"):
        save(folder / name, picture(0))
    with_model = arguments[0] == "denoise" and not {"--model", "--params"} & set(arguments)
    assert_one_line(degrain_here(folder, *arguments, *(["--model", "model"] if with_model else [])), words)


def test_a_new_folder_with_too_long_a_name_is_said_of_each_output(folder: Path) -> None:
    _photographs(folder / "in")
    done = degrain_here(folder, "denoise", "in", f"out/{LONG}", "--model", "model")
    lines = [f"degrain: cannot write out/{LONG}/{name}: {TOO_LONG}" for name in ("a.png", "b.png")]
    assert done.stderr.splitlines() == [*lines, "0 written, 2 refused, 0 there already"]
    assert done.returncode == 2


def test_an_output_with_too_long_a_name_does_not_stop_the_others(folder: Path) -> None:
    """A camera raw file beside an image of its name becomes `NAME.dng.tif`."""
    name = "x" * 250
    save(folder / "in" / f"{name}.tif", picture(0))
    (folder / "in" / f"{name}.dng").write_bytes(b"")
    save(folder / "in" / "a.png", picture(0))
    done = degrain_here(folder, "denoise", "in", "out", "--model", "model")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("1 written, 1 refused"), done.stderr


@pytest.mark.parametrize("special", ["pipe", "/dev/zero"])
@pytest.mark.parametrize(
    "command",
    [
        ["check", "--params", "{}"],
        ["train", "--model", "unet", "--params", "{}"],
        ["denoise", "good.png", "x.png", "--params", "{}"],
        ["denoise", "{}", "x.png", "--model", "model"],
        ["denoise", "good.png", "x.png", "--model", "{}"],
        ["denoise", "good.png", "x.png", "--model", "bent-trial"],
        ["denoise", "good.png", "x.png", "--model", "bent-weights"],
        ["download", "--params", "bsd.yaml"],
        ["validate"],
        ["prepare"],
        ["evaluate"],
        ["sidd-submission", "blocks.mat", "x.csv", "--model", "model"],
        ["sidd-validation", "blocks", "--model", "model"],
        ["reproductions", "--folder", "claims"],
        ["reproductions", "--record", "--blocks", "{}"],
    ],
    ids=" ".join,
)
def test_what_is_no_file_is_refused_in_one_line(
    folder: Path, tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch, command: list[str], special: str
) -> None:
    """Reading a pipe or a device might never end."""
    monkeypatch.setenv("DEGRAIN_MIRROR", str(folder / "mirror"))
    os.mkfifo(folder / "pipe")
    _put_in_place_of_files(folder, tiny, special)
    assert_one_line(degrain_here(folder, *(special if word == "{}" else word for word in command)), "")


def _put_in_place_of_files(folder: Path, tiny: dict[str, Any], special: str) -> None:
    """Lay links to something that is no file where commands look for files."""
    save(folder / "good.png", picture(0))
    (folder / "bsd.yaml").write_text(yaml.safe_dump(merged(tiny, {"data": {"dataset": "bsd"}})))
    for name in ("bent-trial", "bent-weights"):
        shutil.copytree(folder / "model", folder / name)
    places = [
        "bent-trial/trial.json",
        "bent-weights/weights.safetensors",
        "mirror/denoising/BSD400.zip",
        "data/checksums.json",
        "data/raw/photos/astronaut.png",
        "data/validated/validation.json",
        "data/prepared/store.json",
        "blocks.mat",
        "blocks/ValidationGtBlocksSrgb.mat",
        "blocks/ValidationNoisyBlocksSrgb.mat",
        "claims/claims.yaml",
    ]
    for place in places:
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).unlink(missing_ok=True)
        (folder / place).symlink_to(folder / special)


def test_a_study_of_a_mebibyte_is_refused(folder: Path) -> None:
    (folder / "large.yaml").write_text("#" * (1 << 20) + "\n")
    assert_one_line(degrain_here(folder, "check", "--params", "large.yaml"), "it has more than 1048576 bytes")


def test_a_mistake_ends_the_process_in_the_same_way(folder: Path) -> None:
    assert_one_line(degrain(folder, "train", "--model", "unt"), "'unt' is not in train.models")


@pytest.mark.parametrize("arguments", [["denois"], ["train"], ["denoise", "a", "b", "--overlp", "3"]])
def test_a_misspelt_command_or_option_is_refused(folder: Path, arguments: list[str]) -> None:
    done = degrain(folder, *arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.tif", "gray.png", "deep.png", "tiny.png"])
def test_files_of_every_kind_are_denoised(folder: Path, name: str) -> None:
    shape = {"gray.png": (70, 51, 1), "tiny.png": (3, 2, 3)}.get(name, (70, 301, 3))
    pixels = picture(0, *shape)
    if name == "deep.png":
        pixels = pixels.astype(np.uint16) * 257 + 3
    writing.write(folder / name, Picture(pixels))
    done = degrain_here(folder, "denoise", name, f"out/{name}", "--model", "model", "--tile", "64")
    assert done.returncode == 0, done.stderr
    before, after = reading.read(folder / name).pixels, reading.read(folder / "out" / name).pixels
    assert after.dtype == before.dtype
    # An untrained U-Net returns its input; JPEG loses a little at each writing.
    assert np.abs(after.astype(int) - before).max() <= (12 if name == "x.jpg" else 1)


def _photographs(folder: Path) -> None:
    for name in ("a.png", "b.png"):
        save(folder / name, picture(0))


@pytest.mark.parametrize(
    ("present", "pipe", "last", "code"),
    [
        ((), False, "2 written, 0 refused, 0 there already", 0),
        (("a.png",), False, "1 written, 0 refused, 1 there already (--force replaces them)", 0),
        (("a.png", "b.png"), False, "0 written, 0 refused, 2 there already (--force replaces them)", 0),
        (("a.png", "b.png"), True, "0 written, 1 refused, 2 there already (--force replaces them)", 2),
        (None, True, "0 written, 1 refused, 0 there already", 2),
    ],
)
def test_the_last_line_counts_what_became_of_a_folder(
    folder: Path, present: tuple[str, ...] | None, pipe: bool, last: str, code: int
) -> None:
    (folder / "in").mkdir()
    if present is not None:
        _photographs(folder / "in")
    if pipe:
        os.mkfifo(folder / "in" / "pipe.png")
    for name in present or ():
        save(folder / "out" / name, picture(0))
    done = degrain_here(folder, "denoise", "in", "out", "--model", "model")
    assert done.returncode == code, done.stderr
    assert done.stderr.splitlines()[-1] == last


def test_a_name_that_is_not_utf_8_is_shown_escaped(folder: Path) -> None:
    _photographs(folder / "in")
    (folder / "in" / "b.png").rename(folder / "in" / os.fsdecode(b"\xe9t\xe9.png"))
    (folder / "in" / os.fsdecode(b"\xe9.png")).write_bytes(b"")
    done = degrain(folder, "denoise", "in", "out", "--model", "model")
    assert done.returncode == 2
    assert r"in/\udce9t\udce9.png -> out/\udce9t\udce9.png (noise of 0.0 levels)" in done.stderr.splitlines()
    assert any(line.startswith(r"degrain: in/\udce9.png is") for line in done.stderr.splitlines())
    assert done.stderr.splitlines()[-1] == "2 written, 1 refused, 0 there already"


@pytest.mark.parametrize(
    ("name", "variables", "words"),
    [
        (b"\xe9t\xe9", {}, r"is not utf-8: .*/\\udce9t\\udce9; rename it$"),
        (
            "été".encode(),
            {"LC_ALL": "C", "PYTHONUTF8": "0"},
            r"is not ascii: .*; put PYTHONUTF8=1 before the command, or ",
        ),
    ],
)
def test_a_folder_whose_name_is_no_text_is_one_line(
    folder: Path, tmp_path: Path, name: bytes, variables: dict[str, str], words: str
) -> None:
    project = tmp_path / os.fsdecode(name)
    project.mkdir()
    shutil.copyfile(folder / "params.yaml", project / "params.yaml")
    done = degrain(project, "check", **variables)
    assert_one_line(done, "the name of this folder ")
    assert re.search(words, done.stderr.strip())


def test_a_second_run_finds_nothing_left_to_write(folder: Path) -> None:
    _photographs(folder / "in")
    for last in ("2 written, 0 refused, 0", "0 written, 0 refused, 2"):
        done = degrain_here(folder, "denoise", "in", "out", "--model", "model")
        assert done.returncode == 0, done.stderr
        assert done.stderr.splitlines()[-1].startswith(f"{last} there already")


def test_a_landscape_is_squeezed_and_cut_as_in_the_code_of_sinha_2018(folder: Path) -> None:
    pixels = picture(0, 192, 256)
    save(folder / "x.png", pixels)
    sizes = ["--resize", "256x342", "--crop", "256x256"]
    done = degrain_here(folder, "denoise", "x.png", "out.png", "--model", "model", *sizes)
    assert done.returncode == 0, done.stderr
    after = reading.read(folder / "out.png").pixels
    assert np.abs(after - cv2.resize(pixels, (256, 342))[:256].astype(int)).max() <= 1


def test_a_folder_is_denoised_and_a_broken_file_does_not_stop_the_others(folder: Path) -> None:
    for i in range(3):
        save(folder / "in" / f"{i}.png", picture(i))
    (folder / "in" / "1.png").write_text("broken")
    (folder / "in" / "notes.txt").write_text("not an image")
    done = degrain(folder, "denoise", "in", "out", "--model", "model")
    assert done.returncode == 2
    assert "1.png is not an image" in done.stderr
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["0.png", "2.png"]


def test_a_full_disk_leaves_no_half_image(folder: Path) -> None:
    save(folder / "good.png", np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8))
    script = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000));"
        "from degrain.cli.main import main; main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", script, "denoise", "good.png", "out.png", "--model", "model"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert_one_line(done, "cannot write out.png: File too large")
    assert not list(folder.glob("*.partial"))
    assert not (folder / "out.png").exists()


def test_a_project_that_cannot_be_written_is_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(folder / "good.png", picture(0))
    monkeypatch.setenv("DEGRAIN_HOME", "/sys/degrain")
    done = degrain(folder, "denoise", "good.png", "out.png", "--model", "models:/tiny/1")
    assert done.returncode == 2
    assert done.stderr.startswith("degrain: cannot write")
    assert "/sys/degrain" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_damaged_image_stops_validation_and_is_named(folder: Path) -> None:
    assert degrain_here(folder, "download").returncode == 0
    image = folder / "data" / "raw" / "photos" / "coffee.png"
    image.write_bytes(image.read_bytes()[:100_000])
    assert_one_line(degrain_here(folder, "validate"), "coffee.png has 100000 bytes, not the ")
    downloaded_as_it_is(folder)
    assert_one_line(degrain_here(folder, "validate"), "coffee.png is damaged")
    image.unlink()
    assert_one_line(degrain_here(folder, "validate"), "coffee.png is missing; run: dvc repro -f -s download")
    downloaded_as_it_is(folder)
    assert_one_line(degrain_here(folder, "validate"), "coffee.png does not exist")


def downloaded_as_it_is(folder: Path) -> None:
    """Let the photographs count as downloaded, whatever they are."""
    records.downloaded(folder / "data" / "raw" / "photos", DataParams(dataset="photos"))


def test_a_damaged_image_is_quarantined_when_the_study_says_so(folder: Path, tiny: dict[str, Any]) -> None:
    assert degrain_here(folder, "download").returncode == 0
    (folder / "data" / "raw" / "photos" / "rocket.jpg").write_bytes(b"broken")
    downloaded_as_it_is(folder)
    lenient = {"validate": {"on_failure": "quarantine", "min_images": 8}}
    (folder / "params.yaml").write_text(yaml.safe_dump(merged(tiny, lenient)))
    done = degrain_here(folder, "validate")
    assert done.returncode == 0, done.stderr
    assert "quarantined: " in done.stderr
    assert "rocket.jpg is not an image" in done.stderr
    assert degrain_here(folder, "prepare").returncode == 0
    images = pd.read_parquet(folder / "data" / "prepared" / "images.parquet")
    assert len(images) == 8
    assert "rocket" not in set(images["source"])
    (folder / "params.yaml").write_text(
        yaml.safe_dump(merged(tiny, {"validate": {"on_failure": "quarantine", "min_images": 9}}))
    )
    assert_one_line(degrain_here(folder, "validate"), "8 images are left without rocket.jpg")


@pytest.fixture(scope="module")
def prepared_once(tmp_path_factory: pytest.TempPathFactory, tiny: dict[str, Any]) -> Path:
    """What the stages before training leave."""
    folder = tmp_path_factory.mktemp("prepared")
    (folder / "params.yaml").write_text(yaml.safe_dump(tiny))
    for stage in ("download", "validate", "prepare"):
        done = degrain(folder, stage)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def prepared(folder: Path, prepared_once: Path) -> Path:
    """The folder, ready to train."""
    shutil.copytree(prepared_once / "data", folder / "data")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--in-process"]], ids=["processes", "in process"])
def test_no_process_that_trains_imports_mlflow(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    shadow = tmp_path / "shadow"
    shadow.mkdir()
    (shadow / "mlflow.py").write_text("raise ImportError('a process that trains has imported mlflow')\n")
    paths = os.pathsep.join(filter(None, [str(shadow), os.environ.get("PYTHONPATH")]))
    monkeypatch.setenv("PYTHONPATH", paths)
    done = degrain(prepared, "train", "--model", "unet", *options)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_training_that_is_stopped_keeps_what_is_done_and_goes_on(
    prepared: Path, tiny: dict[str, Any], number: signal.Signals
) -> None:
    study = merged(
        tiny, {"train": {"models": ["unet"], "epochs": 2, "losses": ["mse", "mae"], "patches_per_epoch": 80}}
    )
    (prepared / "params.yaml").write_text(yaml.safe_dump(study))
    ledger = prepared / ".degrain" / "trials"
    training = subprocess.Popen(
        [str(BIN / "degrain"), "train", "--model", "unet"],
        cwd=prepared,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"DEGRAIN_THREADS": "2"},
        # A shell that runs the tests in the background has made them ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    deadline = time.monotonic() + 100
    while not [p for p in ledger.glob("*/trial.json") if "." not in p.parent.name] and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(training.pid, number) if number == signal.SIGINT else training.kill()
    _, errors = training.communicate(timeout=60)
    assert not (prepared / "data" / "trials" / "unet").exists()
    if number == signal.SIGINT:
        assert training.returncode == 130
        assert "degrain: stopped; what is finished is kept" in errors
        assert "Traceback" not in errors
    done = degrain(prepared, "train", "--model", "unet")
    assert done.returncode == 0, done.stderr
    assert "already trained, taken from the ledger" in done.stderr
    trials = sorted((prepared / "data" / "trials" / "unet").iterdir())
    assert len(trials) == 4
    for trial in trials:
        recorded = json.loads((trial / "trial.json").read_text())
        assert (recorded["state"], recorded["name"]) == ("done", trial.name)
    time.sleep(0.5)
    assert not [*ledger.glob("*.partial"), *ledger.glob("*.unfinished")]
    listed = degrain(prepared, "trials")
    assert listed.returncode == 0, listed.stderr
    assert listed.stdout.count("done") == 4


@pytest.mark.slow
def test_only_the_pairs_of_the_study_are_trained(prepared: Path, tiny: dict[str, Any]) -> None:
    grid = {"models": ["unet"], "losses": ["mse", "mae", "logcosh"], "epochs": 1, "patches_per_epoch": 8}
    study = merged(tiny, {"train": {**grid, "pairs": ["adadelta-mae", "adam-logcosh", "adam-mse"]}})
    (prepared / "params.yaml").write_text(yaml.safe_dump(study))
    assert "1 models x 3 pairs of optimizer and loss x 1 seeds" in degrain(prepared, "check").stderr
    done = degrain(prepared, "train", "--model", "unet")
    assert done.returncode == 0, done.stderr
    trained = {row["name"]: row["state"] for row in json.loads(degrain(prepared, "trials", "--json").stdout)}
    assert trained == {"unet-adadelta-mae": "done", "unet-adam-logcosh": "done", "unet-adam-mse": "done"}


def exchange(one: Path, other: Path) -> None:
    aside = one.with_name("aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


def test_trials_are_listed_tried_again_and_cleaned_up(prepared: Path, tiny: dict[str, Any]) -> None:
    assert "no trials yet" in degrain_here(prepared, "trials").stdout
    optimizers = ["adam", {"name": "adam", "label": "wild", "lr": 1e30}]
    study = {"models": ["unet"], "epochs": 1, "optimizers": optimizers, "patches_per_epoch": 8}
    (prepared / "params.yaml").write_text(yaml.safe_dump(merged(tiny, {"train": study})))
    done = degrain(prepared, "train", "--model", "unet")
    assert done.returncode == 0, done.stderr
    assert "1 of 2 trials are done; unet-wild-mse diverged" in done.stderr
    table = json.loads(degrain_here(prepared, "trials", "--json").stdout)
    assert {row["name"]: row["state"] for row in table} == {"unet-adam-mse": "done", "unet-wild-mse": "diverged"}
    entries = [prepared / ".degrain" / "trials" / row["folder"] for row in table]
    exchange(*entries)
    listed = json.loads(degrain_here(prepared, "trials", "--json").stdout)
    assert {(row["name"], row["state"]) for row in listed} == {("?", "damaged")}
    exchange(*entries)
    assert_one_line(degrain_here(prepared, "trials", "retry", "unet-wilt-mse"), "did you mean 'unet-wild-mse'?")
    assert "unet-wild-mse" in degrain_here(prepared, "trials", "retry", "unet-wild-mse").stdout
    assert "no trial removed" in degrain_here(prepared, "trials", "clean").stdout
    assert "unet-adam-mse" in degrain_here(prepared, "trials", "clean", "--days", "0", "--dry-run").stdout
    assert len(json.loads(degrain_here(prepared, "trials", "--json").stdout)) == 1
    assert "unet-adam-mse" in degrain_here(prepared, "trials", "clean", "--days", "0").stdout
    assert "no trials yet" in degrain_here(prepared, "trials").stdout
    assert [path.name for path in (prepared / ".degrain" / "trials").iterdir()] == ["layout.lock"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"losses": ["ms-ssim"]}, "ms-ssim with sinha2018"),
        ({"losses": ["bce"]}, "bce with sinha2018"),
        ({"losses": ["mes"]}, "did you mean 'mse'?"),
        ({"losses": [{"name": "mse", "delta": 1.0}]}, "train.losses.0.delta is not a parameter"),
        ({"optimizers": [{"name": "adamw", "preset": "keras"}]}, "adamw"),
    ],
)
def test_cells_that_cannot_work_are_refused_before_anything_starts(
    folder: Path, tiny: dict[str, Any], change: dict[str, Any], words: str
) -> None:
    (folder / "params.yaml").write_text(yaml.safe_dump(merged(tiny, {"train": change})))
    assert_one_line(degrain_here(folder, "download"), words)
    assert not (folder / "data").exists()


@pytest.mark.parametrize(("there", "code"), [(False, 2), (True, 0)])
def test_a_device_is_checked_before_anything_starts(
    folder: Path, tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch, there: bool, code: int
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)  # asked by Adam where there is one
    (folder / "params.yaml").write_text(yaml.safe_dump(merged(tiny, {"train": {"device": "cuda"}})))
    done = degrain_here(folder, "check")
    assert done.returncode == code
    assert ("train.device is 'cuda' and this machine has no CUDA device" in done.stderr) == (code == 2)


@pytest.mark.parametrize(
    ("stage", "place"),
    [
        ("download", "data"),
        ("download", "data/raw"),
        ("validate", "data/validated"),
        ("validate", "results"),
        ("train --model unet", "data/trials"),
        ("train --model unet", ".degrain"),
        ("train --model unet", ".degrain/trials"),
        ("evaluate", "data/evaluated"),
        ("report", "results"),
        ("register", ".degrain"),
    ],
)
def test_a_file_where_a_folder_belongs_is_one_line(prepared: Path, stage: str, place: str) -> None:
    path = prepared / place
    shutil.rmtree(path, ignore_errors=True)
    path.parent.mkdir(exist_ok=True)
    path.touch()
    assert_one_line(degrain_here(prepared, *stage.split()), "")
    said = "".join(degrain_here(prepared, "doctor").stderr.split())
    assert f"cannotwrite{place}" in said
    assert ":Notadirectory" in said


def test_a_folder_where_a_lock_belongs_is_one_line(prepared: Path) -> None:
    (prepared / ".degrain" / "trials" / "layout.lock").mkdir(parents=True)
    done = degrain_here(prepared, "train", "--model", "unet", "--in-process")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("degrain: cannot write or read ")
    assert done.stderr.endswith("layout.lock: Is a directory\n")


def test_check_tries_networks_and_losses(folder: Path, tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("degrain.networks.unet.build", lambda *_: torch.nn.Flatten())
    study = merged(tiny, {"train": {"models": ["unet"]}})
    (folder / "params.yaml").write_text(yaml.safe_dump(study))
    assert_one_line(degrain_here(folder, "check"), "networks/unet.py: unet returns the shape (2, ")


def test_doctor_says_what_is_here(folder: Path) -> None:
    done = degrain(folder, "doctor")
    assert done.returncode == 0, done.stderr
    assert re.search(r"ok\s+torch\s+" + re.escape(torch.__version__.split("+")[0]), done.stderr)
    assert "has none yet: run dvc repro, or, where" in done.stderr


def test_doctor_says_what_is_missing(tmp_path: Path) -> None:
    done = degrain(tmp_path, "doctor")
    assert done.returncode == 1
    assert "params.yaml is not here" in done.stderr


def test_help_has_examples(folder: Path) -> None:
    done = degrain(folder, "denoise", "--help")
    assert done.returncode == 0
    assert "degrain denoise noisy.png clean.png" in done.stdout
    assert "--resize 342x256 --crop 256x256: whole images as Sinha 2018 describes it" in done.stdout
    assert "--resize 256x342 --crop 256x256: as its code does it" in done.stdout


def test_the_data_sets_are_listed_with_what_is_here(folder: Path) -> None:
    done = degrain(folder, "datasets")
    assert done.returncode == 0, done.stderr
    rows = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    assert {"photos", "mnist", "sidd-small", "folder"} <= set(rows)
    assert "in the package" in rows["photos"]
    assert degrain(folder, "download").returncode == 0
    assert "downloaded" in degrain(folder, "datasets").stdout


def test_one_data_set_is_shown_with_what_is_wrong_with_it(folder: Path) -> None:
    shown = degrain(folder, "datasets", "sidd-scene001-crops").stdout
    assert "Every G4 target is a copy of N6's" in shown
    assert_one_line(degrain(folder, "datasets", "mnits"), "did you mean 'mnist'?")
