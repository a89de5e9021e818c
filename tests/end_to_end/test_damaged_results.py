"""Results that are damaged, missing or belong to something else are never used: one line that says what to run."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from degrain import files
from degrain.artifacts.trial import WEIGHTS
from degrain.errors import DegrainError
from degrain.evaluation import examples, measurement
from degrain.params.study import Params, load_params
from degrain.stages import evaluate, prepare, register, report, train, validate
from tests import replacing
from tests.artifacts import records
from tests.provenance import mutation

STAGES: dict[str, Callable[[Params], None]] = {
    "validate": validate.run,
    "prepare": prepare.run,
    "train": lambda params: train.run(params, params.train.models[0]),
    "evaluate": evaluate.run,
    "report": report.run,
    "register": register.run,
}
DAMAGE: dict[str, Callable[[bytes], bytes | None]] = {
    "missing": lambda _: None,
    "emptied": lambda _: b"",
    "cut in half": lambda content: content[: len(content) // 2],
    "a list": lambda _: b"[]",
    "null": lambda _: b"null",
    "another object": lambda _: b'{"x": 1}',
    "nested deeply": lambda _: b"[" * 200_000,
    "a long number": lambda _: b"9" * 5000,
    "one byte flipped": lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
}
TRIAL = "data/trials/unet/*-mse"
EXAMPLES = "data/evaluated/examples"
# What a stage reads: the first file of a pattern.
READS = [
    ("validate", "data/raw/photos/source.json"),
    ("validate", "data/raw/photos/*.png"),
    ("validate", "data/raw/photos/*.jpg"),
    ("prepare", "data/raw/photos/source.json"),
    ("prepare", "data/validated/manifest.parquet"),
    ("prepare", "data/validated/validation.json"),
    ("train", "data/prepared/store.json"),
    ("train", "data/prepared/train/*"),
    ("train", "data/prepared/val/*"),
    ("evaluate", "data/prepared/store.json"),
    ("evaluate", "data/prepared/val/*"),
    ("evaluate", "data/prepared/test/*"),
    ("evaluate", "data/prepared/photographs/*/*"),
    ("evaluate", "data/validated/validation.json"),
    ("evaluate", "data/validated/manifest.parquet"),
    ("evaluate", f"{TRIAL}/trial.json"),
    ("evaluate", f"{TRIAL}/history.csv"),
    ("evaluate", f"{TRIAL}/weights.safetensors"),
    ("report", "data/evaluated/scores.parquet"),
    ("report", "data/evaluated/scores.json"),
    ("report", "data/evaluated/ranking.json"),
    ("report", f"{EXAMPLES}/patches/*/*"),
    ("report", f"{EXAMPLES}/photographs/*/*"),
    ("report", "data/prepared/store.json"),
    ("report", "data/prepared/images.parquet"),
    ("report", "data/validated/manifest.parquet"),
    ("report", "data/validated/validation.json"),
    ("report", f"{TRIAL}/trial.json"),
    ("report", f"{TRIAL}/history.csv"),
    ("register", "data/validated/validation.json"),
    ("register", "data/prepared/store.json"),
    ("register", "data/prepared/test/*"),
    ("register", "data/prepared/photographs/*/*"),
    ("register", "data/evaluated/scores.parquet"),
    ("register", "data/evaluated/scores.json"),
    ("register", "data/evaluated/ranking.json"),
    ("register", "results/metrics.json"),
    ("register", "results/report.html"),
    ("register", "results/report.json"),
    ("register", "results/figures/*"),
    ("register", f"{TRIAL}/trial.json"),
    ("register", f"{TRIAL}/history.csv"),
    ("register", "data/trials/unet/unet-adam-mse/weights.safetensors"),  # of the champion
]
# What each trial leaves.
TRIAL_FILES = ("trial.json", "history.csv", "weights.safetensors")
# What is there for people alone, and what git keeps, see tests/ingest.
OTHERS = ("results/*", "data/validated/docs/*", "data/README.md", "data/checksums.json")


def refused(stage: str) -> str:
    """The one line with which a stage refuses to run."""
    with pytest.raises(DegrainError) as caught:
        STAGES[stage](load_params())
    assert "\n" not in str(caught.value)
    return str(caught.value)


def found(folder: Path, pattern: str) -> Path:
    return sorted(folder.glob(pattern))[0]


@pytest.mark.parametrize(("stage", "pattern"), READS)
def test_a_damaged_result_is_refused_in_one_line(workspace: Path, stage: str, pattern: str) -> None:
    path = found(workspace, pattern)
    content = path.read_bytes()
    for name, damage in DAMAGE.items():
        damaged = damage(content)
        path.unlink()
        if damaged is not None:
            path.write_bytes(damaged)
        said = refused(stage)
        assert "dvc repro" in said or path.name in said, (name, said)
        path.write_bytes(content)


@pytest.mark.parametrize("suite", ["photos", "photos-counts"])
def test_a_damaged_page_that_the_report_links_to_is_refused_in_one_line(workspace: Path, suite: str) -> None:
    page = found(workspace, f"results/validation/validations/{suite}/*/*/*.html")
    content = page.read_bytes()
    # A byte within a page that Great Expectations made is not noticed: no digest of it is kept.
    for name, damage in DAMAGE.items():
        if name != "one byte flipped":
            damaged = damage(content)
            page.unlink()
            if damaged is not None:
                page.write_bytes(damaged)
            assert refused("report").endswith("; run: dvc repro -f -s validate"), name
            page.write_bytes(content)
    page.with_name("older.html").write_bytes(content)
    assert f"has 2 pages of the suite {suite} for the validation in" in refused("report")
    run = page.parents[1]
    run.rename(run.with_name("of-another-study"))
    assert f"has 0 pages of the suite {suite} for the validation in" in refused("report")


def test_every_file_that_a_stage_leaves_is_damaged_here(workspace: Path) -> None:
    left = {path for root in ("data", "results") for path in (workspace / root).rglob("*") if path.is_file()}
    patterns = [pattern for _, pattern in READS] + [f"data/trials/*/{name}" for name in TRIAL_FILES] + list(OTHERS)
    others = {
        name
        for name in (path.relative_to(workspace).as_posix() for path in left)
        if not any(fnmatch(name, pattern) for pattern in patterns)
    }
    assert others == set()


def retrained(folder: Path, **change: object) -> None:
    records.rewrite(found(folder, f"{TRIAL}/trial.json"), **change)


@pytest.mark.parametrize("stage", ["report", "register"])
def test_scores_of_other_weights_are_refused(workspace: Path, stage: str) -> None:
    retrained(workspace, sha256={WEIGHTS: "0" * 64})
    assert "are not those of the weights in data/trials; run: dvc repro evaluate" in refused(stage)


@pytest.mark.parametrize("stage", ["report", "register"])
def test_scores_of_another_trial_of_the_same_name_are_refused(workspace: Path, stage: str) -> None:
    path = workspace / "data" / "evaluated" / "scores.json"
    methods = json.loads(path.read_text())["methods"]
    methods["unet-adam-mse"]["trial_key"] = "another"
    records.rewrite(path, methods=methods)
    assert "are not those of the weights in data/trials; run: dvc repro evaluate" in refused(stage)


@pytest.mark.parametrize("stage", ["evaluate", "report", "register"])
def test_trials_of_other_data_are_refused(workspace: Path, stage: str) -> None:
    retrained(workspace, data_sha256="0" * 64)
    assert "run: dvc repro" in refused(stage)


@pytest.mark.parametrize("stage", ["train", "evaluate", "report", "register"])
@pytest.mark.parametrize(("key", "value"), [("noise", {"kind": "gaussian", "sigma": 40}), ("stride", 17)])
def test_a_store_of_other_parameters_is_refused(workspace: Path, stage: str, key: str, value: object) -> None:
    params = load_params()
    other = params.model_copy(
        update={"prepare": type(params.prepare).model_validate(params.prepare.model_dump() | {key: value})}
    )
    with pytest.raises(DegrainError, match=f"was prepared with another .*{key}.* run: dvc repro prepare"):
        STAGES[stage](other)


def snapshot(folder: Path) -> dict[Path, str]:
    return {path: files.sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("stage", ["evaluate", "report", "register"])
@pytest.mark.parametrize("swapped", [("unet/unet-adam-mse", "unet/unet-adadelta-mse"), ("unet", "sinha2018")])
def test_trials_that_changed_places_are_refused_before_anything_is_written(
    workspace: Path, stage: str, swapped: tuple[str, str]
) -> None:
    one, other = (workspace / "data" / "trials" / name for name in swapped)
    one.rename(workspace / "aside")
    other.rename(one)
    (workspace / "aside").rename(other)
    before = snapshot(workspace)
    said = refused(stage)
    assert "holds another trial, " in said
    assert "; run: dvc repro -f -s train@" in said
    assert snapshot(workspace) == before


@pytest.mark.parametrize("name", TRIAL_FILES)
def test_evaluate_writes_nothing_where_a_trial_is_damaged(workspace: Path, name: str) -> None:
    path = sorted(workspace.glob(f"data/trials/*/*/{name}"))[-1]
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[: len(content) // 2])
    before = snapshot(workspace)
    refused("evaluate")
    assert snapshot(workspace) == before


@pytest.mark.parametrize("stage", ["report", "register"])
@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("evaluate", "overlap", 8),
        ("evaluate", "baselines", []),
        ("evaluate", "sharpen", False),
        ("evaluate", "confidence", 0.5),
        ("evaluate", "bootstrap", 200),
        ("report", "strips", 4),
        ("report", "frames", 0),
    ],
)
def test_scores_that_were_measured_otherwise_are_refused(
    workspace: Path, stage: str, section: str, key: str, value: object
) -> None:
    params = load_params()
    other = params.model_copy(update={section: getattr(params, section).model_copy(update={key: value})})
    with pytest.raises(DegrainError, match=f"was made with another {section}.{key} than .*; run: dvc repro evaluate$"):
        STAGES[stage](other)


@pytest.mark.parametrize("stage", ["report", "register"])
@pytest.mark.parametrize(
    "module",
    ["metrics/ssim.py", "evaluation/sharpening.py", "evaluation/ranking.py", "baselines/tuning.py"],
)
def test_scores_of_other_code_are_refused(workspace: Path, tmp_path_factory: Any, stage: str, module: str) -> None:
    with mutation.changed_code(tmp_path_factory.mktemp("package"), module):
        said = refused(stage)
    assert "were measured by another protocol: " in said
    assert said.endswith("; run: dvc repro evaluate")


@pytest.mark.parametrize("stage", ["report", "register"])
@pytest.mark.parametrize("module", ["examples", "interpolation", "plots"])
def test_pictures_of_other_code_are_refused(workspace: Path, tmp_path_factory: Any, stage: str, module: str) -> None:
    with mutation.changed_code(tmp_path_factory.mktemp("package"), f"evaluation/{module}.py"):
        said = refused(stage)
    assert said == "the pictures in data/evaluated were drawn by other code than there is now; run: dvc repro evaluate"


OF_NETWORK = r"was trained with other code of (\w+) than there is now; run: dvc repro train@\1$"
OF_TRAINING = r"was trained by other code than there is now; run: dvc repro train@\w+$"


@pytest.mark.parametrize("stage", ["evaluate", "report", "register"])
@pytest.mark.parametrize(
    ("module", "words"),
    [
        *((module, OF_NETWORK) for module in ("networks/unet.py", "networks/base.py", "networks/convolutions.py")),
        *((module, OF_TRAINING) for module in ("losses/mse.py", "training/schedules.py", "trials/ledger.py")),
    ],
)
def test_trials_of_other_code_are_refused(
    workspace: Path, tmp_path_factory: Any, stage: str, module: str, words: str
) -> None:
    before = snapshot(workspace)
    with mutation.changed_code(tmp_path_factory.mktemp("package"), module):
        said = refused(stage)
    assert re.search(words, said)
    assert snapshot(workspace) == before


# What makes the manifest, and what makes the store.
VALIDATING = ("listing", "manifest", "near_copies", "expectations", "judgement", "photos")
PREPARING = ("patches/preparation", "patches/cutting", "patches/splits", "noise/adding", "ingest/formats/png", "pixels")


@pytest.mark.parametrize("stage", ["prepare", "evaluate", "report"])
@pytest.mark.parametrize("name", VALIDATING)
def test_a_manifest_of_other_code_is_refused(workspace: Path, tmp_path_factory: Any, stage: str, name: str) -> None:
    with mutation.changed_code(tmp_path_factory.mktemp("package"), f"ingest/datasets/{name}.py"):
        said = refused(stage)
    assert said == "data/validated was validated by other code than there is now; run: dvc repro validate"


@pytest.mark.parametrize("stage", ["train", "register"])
@pytest.mark.parametrize("name", PREPARING)
def test_a_store_of_other_code_is_refused(workspace: Path, tmp_path_factory: Any, stage: str, name: str) -> None:
    with mutation.changed_code(tmp_path_factory.mktemp("package"), f"{name}.py"):
        said = refused(stage)
    assert said == "data/prepared was prepared by other code than there is now; run: dvc repro prepare"


@pytest.mark.parametrize("stage", ["evaluate", "report"])
def test_a_store_of_other_code_than_the_manifest_is_refused(workspace: Path, tmp_path_factory: Any, stage: str) -> None:
    with mutation.changed_code(tmp_path_factory.mktemp("package"), "patches/cutting.py"):
        said = refused(stage)
    assert said == "data/prepared was prepared by other code than there is now; run: dvc repro prepare"


# What writes the page: its code, and the templates beside it.
WRITING = ("report/html.py", "report/gallery.py", "report/leaderboard.py", "figures.py", "report/template.html")


@pytest.mark.parametrize("name", WRITING)
def test_a_report_of_other_code_is_not_published(workspace: Path, tmp_path: Path, name: str) -> None:
    with mutation.copied_package(tmp_path / "package") as package:
        path = package / name
        text = path.read_text()
        path.write_text(mutation.mutated(text) if path.suffix == ".py" else text.replace("<", " <", 1))
        mutation.forget()
        said = refused("register")
    assert said == "results/report.html was made by other code than there is now; run: dvc repro report"


def test_a_report_of_another_validation_is_not_published(workspace: Path) -> None:
    records.rewrite(workspace / "data" / "validated" / "validation.json", published=1000)
    assert refused("register").endswith("does not report the present validation; run: dvc repro report")


def test_a_report_of_another_ranking_is_not_published(workspace: Path) -> None:
    path = workspace / "data" / "evaluated" / "ranking.json"
    records.rewrite(path, examples_sha256="0" * 64)
    assert refused("register").endswith("does not report the present ranking; run: dvc repro report")


def test_scores_of_another_machine_are_used(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("degrain.machine.description.kind", lambda _: "another machine")
    for stage in ("report", "register"):
        STAGES[stage](load_params())


OF_IMAGES = [
    ("data", "dataset", "bsd"),
    ("data", "limit", 8),
    ("data", "white", 4095),
    ("validation", "min_std", 60.0),
    ("validation", "on_failure", "quarantine"),
]


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage != "validate"])
@pytest.mark.parametrize(("section", "key", "value"), OF_IMAGES)
def test_images_that_the_study_does_not_ask_for_are_refused(
    workspace: Path, stage: str, section: str, key: str, value: object
) -> None:
    params = load_params()
    other = params.model_copy(update={section: getattr(params, section).model_copy(update={key: value})})
    before = snapshot(workspace)
    name = f"{'validate' if section == 'validation' else section}.{key}"
    to_run = "prepare" if stage in ("train", "register") else "validate"
    with pytest.raises(DegrainError, match=rf"another {name} than the study asks for; run: dvc repro {to_run}$"):
        STAGES[stage](other)
    assert snapshot(workspace) == before


@pytest.mark.parametrize("stage", ["validate", "prepare"])
@pytest.mark.parametrize(("key", "value"), [("dataset", "bsd"), ("path", "another")])
def test_files_that_were_downloaded_for_another_study_are_refused(
    workspace: Path, stage: str, key: str, value: str
) -> None:
    raw = workspace / "data" / "raw"
    asked = json.loads((raw / "photos" / "source.json").read_text())["asked"]
    records.rewrite(raw / "photos" / "source.json", asked=asked | {key: value})
    before = snapshot(workspace)
    assert refused(stage).endswith(
        f"photos was downloaded for another data.{key} than the study asks for; run: dvc repro download"
    )
    assert snapshot(workspace) == before


def test_files_that_the_catalog_has_replaced_are_refused(workspace: Path) -> None:
    records.rewrite(workspace / "data" / "raw" / "photos" / "source.json", published={"astronaut.png": "0" * 64})
    assert "holds other files than the catalog has of photos now; run: dvc repro download" in refused("validate")


def test_a_manifest_of_other_files_is_not_prepared(workspace: Path) -> None:
    raw = workspace / "data" / "raw" / "photos" / "source.json"
    records.rewrite(raw, files=json.loads(raw.read_text())["files"][:-1])
    assert "data/validated was made of other files than data/raw/photos holds now; run: dvc repro validate" in refused(
        "prepare"
    )


def test_a_ranking_of_other_scores_is_refused(workspace: Path) -> None:
    path = workspace / "data" / "evaluated" / "scores.parquet"
    table = pd.read_parquet(path)
    table["value"] += 1
    table.to_parquet(path, index=False)
    for stage in ("report", "register"):
        assert "scores.parquet is damaged or of another run" in refused(stage)


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["report", "register"])
def test_scores_by_the_cameras_of_another_manifest_are_refused(workspace: Path, stage: str) -> None:
    path = workspace / "data" / "validated" / "manifest.parquet"
    table = pd.read_parquet(path)
    path.unlink()
    table.assign(camera="another").to_parquet(path, index=False)
    records.rewrite(path.with_name("validation.json"), manifest_sha256=files.sha256(path))
    prepare.run(load_params())
    said = "data/evaluated was made with another manifest than what is prepared; run: dvc repro evaluate"
    assert refused(stage) == said
    evaluate.run(load_params())
    report.run(load_params())
    STAGES[stage](load_params())


@pytest.mark.parametrize("version", [None, 0, 99])
def test_a_record_of_another_schema_version_is_refused_by_name(workspace: Path, version: int | None) -> None:
    path = workspace / "data" / "evaluated" / "ranking.json"
    content = json.loads(path.read_text())
    del content["schema_version"]
    path.write_text(json.dumps(content if version is None else content | {"schema_version": version}))
    said = refused("report")
    assert re.search(r"ranking.json (is no record of a ranking|is damaged|has schema version 99)", said)
    assert "schema version" in said


@pytest.mark.parametrize("name", ["data/prepared/store.json", "data/trials/unet/unet-adam-mse/trial.json"])
def test_a_store_or_a_trial_of_another_schema_version_is_refused_by_name(workspace: Path, name: str) -> None:
    records.rewrite(workspace / name, schema_version=1)
    for stage in ("evaluate", "report", "register"):
        assert re.search(
            rf"{name} has schema version 1, which is older than \d, the one that is read; run: dvc repro -f -s ",
            refused(stage),
        )


def test_a_store_of_another_manifest_is_refused(workspace: Path) -> None:
    records.rewrite(workspace / "data" / "prepared" / "store.json", manifest_sha256="0" * 64)
    for stage in ("evaluate", "report"):
        assert "was prepared from another manifest than what is validated; run: dvc repro prepare" in refused(stage)


def after(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, change: Callable[[], object]) -> None:
    """Change something once, when a function has returned for the first time."""
    real, done = getattr(owner, name), []

    def changing(*arguments: Any, **options: Any) -> Any:
        result = real(*arguments, **options)
        if not done:
            done.append(change())
        return result

    monkeypatch.setattr(owner, name, changing)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("owner", "name", "way"),
    [
        (measurement.scoring, "score", "another folder"),
        (measurement, "measure", "another folder, the old one removed"),
        (examples, "write", "other files"),
        (examples, "write_animations", "written to"),
        (examples, "write_animations", "removed"),
    ],
)
def test_scores_of_data_that_is_replaced_meanwhile_are_not_written(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, way: str
) -> None:
    after(monkeypatch, owner, name, lambda: replacing.WAYS[way](workspace / "data" / "prepared"))
    before = snapshot(workspace / "data" / "evaluated") | snapshot(workspace / "results")
    assert refused("evaluate").endswith("; run: dvc repro -f -s prepare")
    assert snapshot(workspace / "data" / "evaluated") | snapshot(workspace / "results") == before


def flip(path: Path) -> None:
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])


def test_scores_of_weights_that_are_replaced_meanwhile_are_not_written(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = workspace / "data" / "trials" / "unet"
    after(monkeypatch, measurement.scoring, "score", lambda: flip(folder / "unet-adadelta-mse" / WEIGHTS))
    before = snapshot(workspace / "data" / "evaluated") | snapshot(workspace / "results")
    assert WEIGHTS in refused("evaluate")
    assert snapshot(workspace / "data" / "evaluated") | snapshot(workspace / "results") == before


@pytest.mark.parametrize(
    "pattern", [f"{EXAMPLES}/patches/*/*", f"{EXAMPLES}/photographs/*/*", "data/prepared/images.parquet"]
)
def test_a_report_of_results_that_are_replaced_meanwhile_is_not_written(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    after(monkeypatch, report, "gather", lambda: flip(found(workspace, pattern)))
    monkeypatch.setattr(report.gallery, "draw", lambda _: {})
    monkeypatch.setattr(report.html, "render", lambda *_: "")
    before = snapshot(workspace / "results")
    assert " has changed while it was used; run: dvc repro -f -s " in refused("report")
    assert snapshot(workspace / "results") == before


@pytest.mark.parametrize("name", ["metrics.json", "report.html", "figures/patches.png"])
def test_a_model_is_not_promoted_over_results_that_are_replaced_meanwhile(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    shutil.rmtree(workspace / ".degrain")
    after(monkeypatch, register.ReportRecord, "check", lambda: flip(workspace / "results" / name))
    for left in ("registration.json", "promotions.jsonl"):
        (workspace / "results" / left).unlink()
    assert f"{name} has changed while it was used; run: dvc repro register" in refused("register")
    assert not (workspace / "results" / "registration.json").exists()
    assert not (workspace / "results" / "promotions.jsonl").exists()
