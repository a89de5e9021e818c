"""Records: what is written is read, and what is damaged, foreign or of another schema version is refused by name."""

from __future__ import annotations

import datetime
import importlib
import json
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from degrain import artifacts, files
from degrain.artifacts import history
from degrain.artifacts.base import CHECKSUM, Record, seal
from degrain.artifacts.checkpoint import CheckpointRecord
from degrain.artifacts.code import Code
from degrain.artifacts.history import COLUMNS, Epoch
from degrain.artifacts.kept_champion import KeptChampion
from degrain.artifacts.metrics import Metrics
from degrain.artifacts.ranking import Ranking
from degrain.artifacts.registration import Registration, Verdict
from degrain.artifacts.report import ReportRecord
from degrain.artifacts.reproduction import ReproducedTrial, Reproduction, Sharpened, Versions
from degrain.artifacts.scores import Conditions, Measured, Scores
from degrain.artifacts.sidd_validation import BlockScores, SiddValidation
from degrain.artifacts.source import AskedFiles, RawFile, Source
from degrain.artifacts.store import StoreRecord
from degrain.artifacts.trial import HISTORY, BegunTrial, TrialRecord, TrialSettings
from degrain.artifacts.validation import Asked, Expectation, NearCopies, Validation
from degrain.errors import DataError, VersionMismatch
from degrain.params.data import DataParams, ValidateParams
from degrain.params.prepare import PrepareParams
from degrain.params.results import EvaluateParams
from tests.artifacts import records

EPOCHS = [
    Epoch(1, 0.1, 1 / 3, 20.123456789012345, 1e-3, 12.5, 1.75, 300.5, 0.0, 1795961379.963),
    Epoch(2, float("inf"), 2e-300, -1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
]
PREPARE = {"split": {"val": ["b"], "test": 0.25}, "noise": {"kind": "speckle", "sigma": [0.1, 0.2]}}
ASKED = Asked(
    data=DataParams(dataset="photos", only={"camera": ["G4"]}, limit=7),
    validation=ValidateParams(psnr=(10.0, 20.0), channels=[1, 3]),
)
CODE = Code(modules=["degrain.patches.preparation"], sha256="c" * 64)
BLOCKS = BlockScores(blocks=6, noisy={"psnr": 20.0}, denoised={"psnr": 30.0})
SETTINGS = {name: records.TRIAL[name] for name in TrialSettings.model_fields}
EXAMPLES: list[Record] = [
    records.trial(),
    BegunTrial.model_validate(SETTINGS | {"schema_version": BegunTrial.VERSION, "key": "key", "pid": 7, "began": 0.0}),
    StoreRecord(
        schema_version=StoreRecord.VERSION,
        params=PrepareParams.model_validate(PREPARE),
        asked=ASKED,
        code=CODE,
        manifest_sha256="m" * 64,
        channels=3,
        light="srgb",
        counts={"train": 4, "val": 2, "test": 2},
        leaks={"source": 1},
        sha256="s" * 64,
    ),
    CheckpointRecord(
        schema_version=CheckpointRecord.VERSION,
        key="key",
        file="000000003.safetensors",
        sha256="c" * 64,
        network={"items": [["weight", {"tensor": "network.weight"}]]},
        optimizer={"items": [[0, {"tuple": [0.9, None, True]}]]},
        averaged=None,
        best=None,
        parts=1,
        steps=9,
        step=3,
        loss_sum=0.1 + 0.2,
        history=EPOCHS,
        seconds=1.5,
    ),
    Registration(
        schema_version=Registration.VERSION,
        model="tiny",
        trial="unet-adam-mse",
        trial_key="key",
        weights_sha256="w" * 64,
        data_sha256="d" * 64,
        table_sha256="t" * 64,
        decision="refused",
        before="1",
        unusable="",
        version="1",
        refused=["it is worse"],
        gate=[
            Verdict(
                rival="x",
                measure="test_psnr",
                candidate=1,
                rival_score=2,
                gain=-1,
                low=None,
                sources=2,
                won=0,
                needed=0,
                passed=False,
            )
        ],
        experiment="tiny",
        parent_run="p",
        runs={"unet-adam-mse": "r"},
        tracking_uri="sqlite:///x",
    ),
    Scores(
        schema_version=Scores.VERSION,
        data_sha256="d" * 64,
        table_sha256="t" * 64,
        conditions=Conditions(machine="AVX2", versions={"torch": "1.2"}),
        methods={"identity": Measured(protocol="p"), "a": Measured(model="unet", trial_key="key", protocol="q")},
    ),
    ReportRecord(
        schema_version=ReportRecord.VERSION,
        code=CODE,
        settings={"study": {"name": "tiny", "title": "Tiny"}, "train": {"seeds": [0], "clip_norm": None}},
        validation_sha256="v" * 64,
        store_sha256="s" * 64,
        trials_sha256="t" * 64,
        ranking_sha256="r" * 64,
        published_sha256="",
        page_sha256="p" * 64,
        figures_sha256="f" * 64,
    ),
    Metrics(
        schema_version=1,
        champion={"trial": "unet-adam-mse", "test_psnr": 20.0},
        identity={"test_psnr": 20.0},
        baselines={"tv": {"test_psnr": 21.0}},
        trials={"unet-adam-mse": {"test_psnr": 30.0}},
        cameras={"G4": {"identity": 20.0}},
    ),
    Ranking(
        schema_version=Ranking.VERSION,
        params=EvaluateParams(baselines=["tv"], confidence=0.5),
        strips=3,
        frames=100,
        champion="unet-adam-mse",
        cells=[],
        identity={"test_psnr": 20.0},
        baselines={},
        sharpened={},
        cameras={},
        unranked=[],
        stand_in="",
        data_sha256="d" * 64,
        manifest_sha256="m" * 64,
        table_sha256="t" * 64,
        pictures=CODE,
        examples_sha256="e" * 64,
    ),
    Source(
        schema_version=Source.VERSION,
        asked=AskedFiles(dataset="folder", path="~/photos"),
        published={"a.zip": None, "b.zip": "b" * 64},
        title="Photographs",
        origin="a.example",
        licence="CC0",
        citation="",
        files=[RawFile(file="a.zip", bytes=7, sha256="a" * 64, origin="a.example/a.zip", credit="A. Author")],
    ),
    Validation(
        schema_version=Validation.VERSION,
        asked=ASKED,
        code=CODE,
        files_sha256="r" * 64,
        images=2,
        published=3,
        quarantined=["a.png"],
        expectations=[Expectation(name="path", text="every path once", success=True, groups=False, images=[])],
        near_copies=[NearCopies(first="a.png", second="b.png", correlation=0.99, mirrored=True)],
        pictures_sha256="p" * 64,
        manifest_sha256="m" * 64,
    ),
    SiddValidation(schema_version=1, model="unet", weights_sha256=None, scores=BLOCKS),
    KeptChampion(
        schema_version=1,
        model="tiny",
        tracking_uri="sqlite:///mlflow.db",
        version="3",
        tags={"degrain.weights_sha256": "0" * 64},
        tables="dc11669786a5",
        seen="2026-11-29T15:00+00:00",
    ),
    Reproduction(
        schema_version=1,
        study="tiny",
        date=datetime.date(2026, 1, 2),
        command="dvc exp run -S study=tiny",
        machine={"cores": "2"},
        versions=Versions(torch="2", degrain="1"),
        data_sha256="d" * 64,
        trials=[
            ReproducedTrial(
                name="unet-adam-mse",
                model="unet",
                optimizer="adam",
                loss="mse",
                seed=0,
                precision="float32",
                epochs_done=2,
                seconds=1.5,
                parameters=7,
                val_loss=[1 / 3, float("inf")],
                scores={"test_psnr": 30.0},
                blocks=BLOCKS,
            )
        ],
        identity={"test_psnr": 20.0},
        baselines={"tv": {"test_psnr": 21.0}},
        cameras={},
        sharpened={"unet-adam-mse": Sharpened(before={"test_psnr": 30.0}, after={"test_psnr": 25.0})},
    ),
]
every_record = pytest.mark.parametrize("record", EXAMPLES, ids=lambda record: type(record).__name__)


def classes(record: type[Record]) -> Iterator[type[Record]]:
    for inner in record.__subclasses__():
        yield inner
        yield from classes(inner)


def sealed(content: dict[str, Any], record: Record) -> dict[str, Any]:
    return seal(content) if record.SEALED else content


def to_run(record: Record, option: str = "") -> str:
    """What an error says: the stage that leaves the record, or else the command."""
    assert bool(record.STAGE) != bool(record.COMMAND)
    return f"run: {record.COMMAND or f'dvc repro {option}{record.STAGE}'}"


def test_every_kind_of_record_is_tested_here() -> None:
    for module in pkgutil.iter_modules(artifacts.__path__, "degrain.artifacts."):
        importlib.import_module(module.name)
    assert {type(record) for record in EXAMPLES} == set(classes(Record))


@every_record
def test_what_is_written_is_read(tmp_path: Path, record: Record) -> None:
    path = tmp_path / "record.json"
    record.write(path)
    assert type(record).read(path) == record


@every_record
@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"schema_version": None}, DataError, "{path} is no {what}: it has no schema version; {run}"),
        ({"schema_version": 0}, DataError, "{path} is damaged (its schema version is '0'); {run}"),
        ({"schema_version": -1}, DataError, "{path} is damaged (its schema version is '-1'); {run}"),
        ({"schema_version": "x"}, DataError, "{path} is damaged (its schema version is 'x'); {run}"),
        ({"schema_version": True}, DataError, "{path} is damaged (its schema version is 'True'); {run}"),
        ({"schema_version": 1.0}, DataError, "{path} is damaged (its schema version is '1.0'); {run}"),
        ({"schema_version": [1]}, DataError, "{path} is damaged (its schema version is '[1]'); {run}"),
        (
            {"schema_version": 1},
            VersionMismatch,
            "{path} has schema version 1, which is older than {version}, the one that is read; {run}",
        ),
        (
            {"schema_version": 99},
            VersionMismatch,
            "{path} has schema version 99, which is newer than {version}, the one that is read: a newer degrain wrote "
            "it; update degrain, or {run}",
        ),
    ],
    ids=str,
)
def test_no_version_a_damaged_an_older_and_a_newer_one_are_told_apart(
    tmp_path: Path,
    record: Record,
    change: dict[str, object],
    error: type[DataError],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(type(record), "VERSION", 7)  # so that every record has older versions
    path = tmp_path / "record.json"
    content = record.model_dump(mode="json") | change
    path.write_text(json.dumps(sealed({name: value for name, value in content.items() if value is not None}, record)))
    with pytest.raises(DataError) as caught:
        type(record).read(path)
    assert type(caught.value) is error
    expected = words.format(path=path, what=type(record).what(), version=7, run=to_run(record, "-f -s "))
    assert str(caught.value) == expected


def test_every_kind_of_record_has_a_name_of_its_own() -> None:
    names = [type(record).what() for record in EXAMPLES]
    assert len(set(names)) == len(names)
    assert all(name.startswith("record of ") for name in names)


@every_record
def test_unknown_and_missing_fields_are_refused(tmp_path: Path, record: Record) -> None:
    path = tmp_path / "record.json"
    content = record.model_dump(mode="json", exclude_unset=True)
    required = [name for name, field in type(record).model_fields.items() if field.is_required()]
    for name in set(required) - {"schema_version"}:
        path.write_text(json.dumps(sealed({key: value for key, value in content.items() if key != name}, record)))
        with pytest.raises(
            DataError, match=rf"record.json is damaged \({name}: field required\); {to_run(record, '-f -s ')}"
        ):
            type(record).read(path)
    path.write_text(json.dumps(sealed(content | {"surprise": 1}, record)))
    with pytest.raises(DataError, match=r"record.json is damaged \(surprise: extra inputs are not permitted\)"):
        type(record).read(path)


@every_record
@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[]", "null", '"text"', "7", '{"schema_version": 1}', "\ud83d"),
        pytest.param("[" * 200_000, id="nested deeply"),
        pytest.param("[" * 400 + "]" * 400, id="nested"),
        pytest.param('{"a":' * 900 + "1" + "}" * 900, id="nested objects"),
        pytest.param("9" * 5000, id="a long number"),
    ],
)
def test_what_is_no_such_record_is_refused_in_one_line(tmp_path: Path, record: Record, content: str) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(content.encode("utf-16", "surrogatepass") if content == "\ud83d" else content.encode())
    with pytest.raises(DataError, match=to_run(record, "-f -s ")) as caught:
        type(record).read(path)
    assert "\n" not in str(caught.value)
    path.unlink()
    with pytest.raises(DataError, match=f"record.json is missing; {to_run(record)}"):
        type(record).read(path)


def test_a_done_trial_has_weights(tmp_path: Path) -> None:
    records.trial(sha256={}).write(tmp_path / "trial.json")
    with pytest.raises(DataError, match="no SHA-256 of its weights"):
        TrialRecord.read(tmp_path / "trial.json")


@pytest.mark.parametrize("record", [record for record in EXAMPLES if record.SEALED], ids=lambda one: type(one).__name__)
def test_a_value_that_was_changed_in_a_file_is_found(tmp_path: Path, record: Record) -> None:
    path = tmp_path / "record.json"
    record.write(path)
    content = json.loads(path.read_text())
    for name, value in content.items():
        if name != "schema_version":
            path.write_text(json.dumps(content | {name: [value]}))
            with pytest.raises(DataError, match=r"record.json is damaged \(its checksum is another\); run: "):
                type(record).read(path)
    del content[CHECKSUM]
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"record.json is damaged \(it has no checksum\); run: "):
        type(record).read(path)


def test_a_trial_is_the_same_under_other_names() -> None:
    assert records.trial(name="x", optimizer="y", loss="z").named("unet-adam-mse", "adam", "mse") == records.trial()


def test_settings_that_differ_are_named() -> None:
    one, other = records.trial(), records.trial(seed=3, training={"epochs": 4, "patience": 2})
    assert one.differences(other) == ["train.batch_size", "train.epochs", "train.patience", "train.seeds"]
    assert one.differences(records.trial(key="another", state="failed")) == []


def test_a_history_is_read_exactly(tmp_path: Path) -> None:
    history.write(tmp_path / HISTORY, EPOCHS)
    trial = records.trial(sha256=records.TRIAL["sha256"] | {HISTORY: files.sha256(tmp_path / HISTORY)})
    table = history.read(tmp_path, trial)
    assert tuple(table.columns) == COLUMNS
    assert [Epoch(*row) for row in table.itertuples(index=False)] == EPOCHS
    history.write(tmp_path / HISTORY, [])
    with pytest.raises(DataError, match=r"history.csv is missing or damaged; run: dvc repro -f -s train@unet"):
        history.read(tmp_path, trial)
    trial = records.trial(sha256=records.TRIAL["sha256"] | {HISTORY: files.sha256(tmp_path / HISTORY)})
    assert history.read(tmp_path, trial).empty


def test_a_history_of_other_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / HISTORY).write_text("epoch,loss\n1,0.5\n")
    trial = records.trial(sha256=records.TRIAL["sha256"] | {HISTORY: files.sha256(tmp_path / HISTORY)})
    with pytest.raises(DataError, match=r"history.csv has the columns epoch, loss, not epoch, .*train@unet"):
        history.read(tmp_path, trial)


@pytest.mark.parametrize("value", [3, 3.0, 0.6, True, False, "reflect", "3", "true"])
def test_a_ranking_keeps_the_settings_of_baselines_as_they_are(tmp_path: Path, value: object) -> None:
    made = records.ranking(records.cell(), baselines={"own": {"settings": {"mode": value}, "scores": {}}})
    made.write(tmp_path / "ranking.json")
    (kept,) = Ranking.read(tmp_path / "ranking.json").baselines["own"].settings.values()
    assert (type(kept), kept) == (type(value), value)
