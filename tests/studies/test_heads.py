"""The heads of the studies: complete, true of the records, and listed with what is here."""

from __future__ import annotations

import json
import re
import statistics
from pathlib import Path

import pytest
import yaml

from degrain.artifacts.reproduction import Reproduction
from degrain.cli.main import main
from degrain.errors import ParamsError
from degrain.shipped import catalog as shipped
from degrain.studies import gallery, heads, overview
from tests.conftest import ROOT, committed

CONF = ROOT / "conf"
NAMES = gallery.names(CONF)
RECORDS = sorted(path.stem for path in (ROOT / "docs" / "reproductions").glob("*.json"))


@pytest.mark.parametrize("name", NAMES)
def test_it_tells_command_machine_time_and_psnr(name: str) -> None:
    text = gallery.file_of(name, CONF).read_text()
    assert [key for key in heads.KEYS if not re.search(rf"^# {key}: \S", text, re.M)] == []
    head = heads.read(name, CONF)
    assert re.search(rf"(^| )dvc exp run -S study={re.escape(name)}( |$)", head.command)
    assert head.about
    assert head.title
    run = head.time.short != heads.NOT_RUN
    assert re.fullmatch(r"[12] cores?" if run else r"[CG]PU", head.machine.short)
    assert re.fullmatch(r"[\d.]+ dB|not run|depends", head.psnr.short)
    assert run or not head.psnr.short.endswith("dB")


def decibels(told: heads.Told) -> float:
    return float(told.short.removesuffix(" dB"))


@pytest.mark.parametrize("name", RECORDS)
def test_it_agrees_with_the_record_of_its_last_run(name: str) -> None:
    record = Reproduction.read(ROOT / "docs" / "reproductions" / f"{name}.json")
    head = heads.read(name, CONF)
    cells: dict[str, list[tuple[float, float]]] = {}
    for trial in record.trials:
        scores = trial.scores["val_psnr"], trial.scores["test_psnr"]
        cells.setdefault(re.sub(r"-seed\d+$", "", trial.name), []).append(scores)
    best = max(cells, key=lambda cell: statistics.mean(val for val, _ in cells[cell]))
    assert head.command == record.command
    assert decibels(head.psnr) == pytest.approx(statistics.mean(test for _, test in cells[best]), abs=0.006)
    assert head.psnr.more.startswith(f"{best} on test patches, noisy input {record.identity['test_psnr']:.2f} dB")
    assert str(record.date) in head.time.more


def test_the_quickstarts_psnr_is_that_of_the_metrics_in_git() -> None:
    metrics = json.loads(committed("results/metrics.json"))
    champion = metrics["champion"]["trial"]
    told = heads.read("quickstart", CONF).psnr
    assert told.more.startswith(champion)
    assert decibels(told) == pytest.approx(metrics["trials"][champion]["test_psnr"], abs=0.1)


@pytest.mark.parametrize("name", shipped.names())
def test_the_psnr_of_a_model_that_ships_is_that_of_its_card(name: str) -> None:
    folder = shipped.folder(name)
    assert folder is not None
    card = yaml.safe_load((folder / "README.md").read_text().split("---")[1])
    measured = {one["dataset"]["name"].rpartition(": ")[2]: one["metrics"] for one in card["model-index"][0]["results"]}
    (psnr,) = [one["value"] for one in measured["test patches"] if one["type"] == "psnr"]
    assert decibels(heads.read(name, CONF).psnr) == pytest.approx(psnr, abs=0.006)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two studies: of photographs, and of MNIST."""
    (tmp_path / "conf" / "study").mkdir(parents=True)
    for name in ("quickstart", "mnist"):
        (tmp_path / "conf" / "study" / f"{name}.yaml").write_text((CONF / "study" / f"{name}.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def missing(ready: bool = False) -> dict[str, tuple[str, ...]]:
    return {one.head.name: one.missing for one in overview.entries(Path("data/raw"), ready)}


def test_what_is_missing_here_is_told(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert missing() == {"quickstart": (), "mnist": ("12 MB to download",)}
    assert missing(ready=True) == {"quickstart": ()}
    for file in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (project / "mirror" / "mnist").mkdir(parents=True, exist_ok=True)
        (project / "mirror" / "mnist" / f"{file}-ubyte.gz").touch()
    monkeypatch.setenv("DEGRAIN_MIRROR", "mirror")
    assert missing() == {"mnist": (), "quickstart": ()}


def write(project: Path, name: str, text: str) -> None:
    (project / "conf" / "study" / f"{name}.yaml").write_text(text)


def test_packages_and_images_of_ones_own_are_told(project: Path) -> None:
    write(project, "mine", "# Packages: no_such_package; it reads\ndata: {dataset: folder}\n")
    write(project, "block", "defaults: [quickstart, _self_]\nevaluate: {baselines: [nlm, bm3d]}\n")
    assert missing()["mine"] == ("data.path: your images", "the package no_such_package")
    assert heads.read("block").dataset == "photos"
    assert heads.read("block").baselines == ("nlm", "bm3d")


def test_a_study_of_ones_own_needs_no_head(project: Path) -> None:
    write(project, "mine", "# @package _global_\n# My own.\ndata: {dataset: photos}\n")
    head = heads.read("mine")
    assert (head.command, head.about) == ("dvc exp run -S study=mine", "My own.")
    assert (head.time.short, head.psnr.short) == (heads.NOT_RUN, heads.NOT_RUN)


def test_a_study_that_cannot_be_read_is_refused(project: Path) -> None:
    write(project, "round", "defaults: [round]\n")
    with pytest.raises(ParamsError, match=r"conf/study/round.yaml: defaults go in circles"):
        heads.read("round")
    write(project, "based", "defaults: [gone, _self_]\n")
    with pytest.raises(ParamsError, match=r"cannot read conf/study/gone.yaml"):
        heads.read("based")
    write(project, "text", "just words\n")
    with pytest.raises(ParamsError, match=r"conf/study/text.yaml holds no sections"):
        heads.read("text")
    write(project, "data", "data: {dataset: mnits}\n")
    with pytest.raises(ParamsError, match="did you mean 'mnist'"):
        overview.details("data", Path("data/raw"))


def test_the_command_lists_and_tells(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, expected in (
        (["studies"], "30.4 dB"),
        (["studies", "mnist"], "- Command: `dvc exp run -S study=mnist`"),
    ):
        with pytest.raises(SystemExit, match="0"):
            main(words)
        assert expected in capsys.readouterr().out
    with pytest.raises(SystemExit, match="0"):
        main(["studies", "--ready", "--json"])
    assert [one["name"] for one in json.loads(capsys.readouterr().out)] == ["quickstart"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["studies", "mnits"], "conf/study holds no study 'mnits'; did you mean 'mnist'?"),
        (["studies", "mnist", "--json"], "--ready and --json are of the whole list"),
    ],
)
def test_a_mistake_is_one_line(project: Path, capsys: pytest.CaptureFixture[str], words: list[str], text: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert text in capsys.readouterr().err
