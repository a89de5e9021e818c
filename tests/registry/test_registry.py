"""The registry, on a real MLflow with SQLite: nothing doubled, nothing promoted that does not win."""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from PIL import Image

from degrain.api import denoising
from degrain.artifacts.trial import TRIAL, WEIGHTS
from degrain.errors import DataError, OutputError, RegistryError
from degrain.packaging import layout
from degrain.params.results import RegisterParams
from degrain.registry import aliases, loading, publishing, tags, tracking
from tests.artifacts import records
from tests.ingest.fetching.site import Answer, Site
from tests.registry import grids


@pytest.fixture(autouse=True)
def workspace(project: Path) -> None:
    Path("figures").mkdir()
    Path("figures", "unet-heat_map.svg").write_text("<svg/>")


def make_grid(name: str = "unet-adam-mse", psnr: float = 30.0) -> publishing.Grid:
    trial = records.trial(name=name, key=f"key-{name}")
    ranking = records.ranking(records.cell(psnr=psnr, best_trial=name))
    return grids.grid(trial, {"test_psnr": psnr}, ranking, epochs=3)


def all_runs(client: Any, experiment: str) -> list[Any]:
    return list(client.search_runs([experiment]))


def test_a_name_that_a_study_may_have_is_one_that_mlflow_takes() -> None:
    from mlflow.store.model_registry.dbmodels.models import SqlRegisteredModel
    from mlflow.store.tracking.dbmodels.models import SqlExperiment
    from mlflow.utils.validation import MAX_EXPERIMENT_NAME_LENGTH

    (limit,) = (kept.max_length for kept in RegisterParams.model_fields["name"].metadata if hasattr(kept, "max_length"))
    columns = (SqlExperiment.__table__.c.name, SqlRegisteredModel.__table__.c.name)
    assert limit <= min(MAX_EXPERIMENT_NAME_LENGTH, 255, *(column.type.length for column in columns))
    with tracking.connect() as client:
        client.create_experiment("x" * limit)
        assert client.create_registered_model("x" * limit).name == "x" * limit


def test_publishing_twice_doubles_nothing() -> None:
    with tracking.connect() as client:
        experiment = tracking.experiment(client, "tiny")
        first = publishing.publish(client, experiment, make_grid())
        assert publishing.publish(client, experiment, make_grid()) == first
        assert tracking.experiment(client, "tiny") == experiment
        assert len(all_runs(client, experiment)) == 2
        parent, children = first
        child = client.get_run(children["unet-adam-mse"])
        assert child.data.tags["mlflow.parentRunId"] == parent
        assert child.data.params["optimizer.lr"] == "0.1"
        assert {client.get_run(run).data.tags["degrain.commit"] for run in (parent, child.info.run_id)} == {"c0ffee"}
        points = client.get_metric_history(child.info.run_id, "val_psnr")
        assert [(point.step, point.value) for point in points] == [(1, 1.0), (2, 2.0), (3, 3.0)]
        assert child.data.metrics["test_psnr"] == 30.0
        assert not client.list_artifacts(child.info.run_id, "figures")
        assert [a.path for a in client.list_artifacts(parent, "figures")] == ["figures/unet-heat_map.svg"]


def test_each_run_has_its_data_and_the_same_pictures() -> None:
    place = Path("pictures", "00")
    for number, name in enumerate(("noisy", "unet-adam-mse", "clean")):
        place.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number, number, number)).save(place / f"{name}.png")
    with tracking.connect() as client:
        experiment = tracking.experiment(client, "tiny")
        for _ in range(2):
            _, children = publishing.publish(client, experiment, make_grid())
        run = client.get_run(children["unet-adam-mse"])
        data = {one.tags[0].value: one.dataset for one in run.inputs.dataset_inputs}
        assert {context: dataset.name for context, dataset in data.items()} == {
            "training": "photos training",
            "validation": "photos validation",
            "test": "photos test",
        }
        assert {(dataset.source_type, dataset.digest) for dataset in data.values()} == {("dvc", "0123456789abcdef.dir")}
        md5 = {"path": "data/prepared", "md5": "0123456789abcdef.dir"}
        for context, split in (("training", "train"), ("validation", "val"), ("test", "test")):
            source = json.loads(data[context].source)
            assert source == md5 | {"split": split, "store_sha256": records.trial().data_sha256}
        drawn = Image.open(client.download_artifacts(run.info.run_id, "pictures/test_patch_00.png"))
        assert (drawn.width, drawn.height) == (3 * 8, 8)
        assert [drawn.getpixel((8 * n, 0)) for n in range(3)] == [(n, n, n) for n in range(3)]


def test_scores_that_were_measured_anew_are_those_that_are_shown() -> None:
    with tracking.connect() as client:
        experiment = tracking.experiment(client, "tiny")
        publishing.publish(client, experiment, make_grid(psnr=30.0))
        parent, children = publishing.publish(client, experiment, make_grid(psnr=29.0))
        run = client.get_run(children["unet-adam-mse"])
        assert run.data.metrics["test_psnr"] == client.get_run(parent).data.metrics["test_psnr"] == 29.0
        assert run.data.tags["mlflow.parentRunId"] == parent
        (model,) = client.search_logged_models([experiment])
        assert {metric.key: metric.value for metric in model.metrics}["val_psnr"] == 3.0


def test_figures_that_were_drawn_anew_are_published_anew(tmp_path: Path) -> None:
    with tracking.connect() as client:
        experiment = tracking.experiment(client, "tiny")
        first = publishing.publish(client, experiment, make_grid())
        Path("figures", "unet-heat_map.svg").write_text("<svg>new</svg>")
        assert publishing.publish(client, experiment, make_grid()) == first
        drawn = Path(client.download_artifacts(first[0], "figures/unet-heat_map.svg", str(tmp_path)))
        assert drawn.read_text() == "<svg>new</svg>"


def test_what_a_killed_process_left_is_completed_and_not_doubled(monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with tracking.connect() as client:
        experiment = tracking.experiment(client, "tiny")
        with monkeypatch.context() as patch:
            patch.setattr("mlflow.MlflowClient.log_dict", killed)
            with pytest.raises(KeyboardInterrupt):
                publishing.publish(client, experiment, make_grid())
        assert {run.info.status for run in all_runs(client, experiment)} == {"RUNNING"}
        _, children = publishing.publish(client, experiment, make_grid())
        runs = all_runs(client, experiment)
        assert len(runs) == 2
        assert {run.info.status for run in runs} == {"FINISHED"}
        assert len(client.get_metric_history(children["unet-adam-mse"], "val_psnr")) == 3


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        (
            "models:/nothing@champion",
            "no champion of 'nothing' yet: run dvc repro, or, where the study has been run, dvc repro -f -s register; "
            "or name a version: models:/NAME/VERSION$",
        ),
        ("models:/nothing@other", "MLflow at sqlite"),
        ("models:/nothing", "write models:/NAME@ALIAS"),
        ("models:/nothing/3", "MLflow at sqlite"),
        ("models:/nothing/", "write models:/NAME@ALIAS"),
        ("models:/@champion", "write models:/NAME@ALIAS"),
    ],
)
def test_what_the_registry_does_not_hold_is_one_line(reference: str, words: str) -> None:
    with pytest.raises(RegistryError, match=words) as caught, loading.folder_of(reference, Path("trials")):
        pass
    assert "\n" not in str(caught.value)


def test_a_server_that_refuses_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    words = r"^MLflow at http://127\.0\.0\.1:9 does not answer: .*refused"
    with pytest.raises(RegistryError, match=words), tracking.connect():
        pass


def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "ANSWER_TIME", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        with pytest.raises(RegistryError, match=f"^MLflow at {uri} does not answer: ") as caught, tracking.connect():
            pass
    assert "\n" not in str(caught.value)


def test_a_server_that_fails_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", site.serve("", Answer(status=502)).rstrip("/"))
    site.serve("/health", Answer(status=502))
    with pytest.raises(RegistryError, match=r"does not answer: HTTP 502$"), tracking.connect():
        pass
    site.close()


def test_a_trial_is_found_by_its_name(tmp_path: Path, make_params: Callable[..., Any]) -> None:
    from degrain.errors import ModelError

    folder = tmp_path / "trials" / "unet" / "unet-adam-mse"
    folder.mkdir(parents=True)
    records.trial().write(folder / "trial.json")
    with loading.folder_of("unet-adam-mse", tmp_path / "trials") as found:
        assert found == folder
    with (
        pytest.raises(ModelError, match="did you mean 'unet-adam-mse'"),
        loading.folder_of("unet-adm-mse", tmp_path / "trials"),
    ):
        pass


def test_a_trial_that_a_killed_process_left_half_written_hides_no_whole_one(tmp_path: Path) -> None:
    for model in ("unet", "unet.host.1-2.partial", "unet.host.1-2-old.partial"):
        left = tmp_path / "trials" / model / "unet-adam-mse"
        left.mkdir(parents=True)
        records.trial().write(left / "trial.json")
    with loading.folder_of("unet-adam-mse", tmp_path / "trials") as found:
        assert found == tmp_path / "trials" / "unet" / "unet-adam-mse"


@pytest.mark.parametrize("reference", ["unet-adam-mse", "trials/unet/unet-adam-mse"])
def test_a_folder_with_another_trial_is_refused(reference: str) -> None:
    folder = Path("trials/unet/unet-adam-mse")
    folder.mkdir(parents=True)
    records.trial(name="unet-adam-mae").write(folder / "trial.json")
    with (
        pytest.raises(DataError, match=r"unet-adam-mse holds another trial, unet-adam-mae of unet; run: dvc repro -f"),
        loading.folder_of(reference, Path("trials")),
    ):
        pass


def registered(folder: Path, **tagged: str) -> Any:
    """A champion with a model whose weights are a text, and its version as a client sees it."""
    made = records.model(folder, "weights")
    with tracking.connect() as client:
        _, runs = publishing.publish(client, tracking.experiment(client, "tiny"), make_grid())
        source = publishing.log_model(client, runs["unet-adam-mse"], folder, made, {})
        wanted = {name: value for name, value in (records.version_tags(made, folder) | tagged).items() if value}
        version = aliases.register(client, "tiny", source, runs["unet-adam-mse"], wanted)
        client.set_registered_model_alias("tiny", aliases.CHAMPION, str(version.version))
        return client.get_model_version("tiny", str(version.version))


@pytest.mark.parametrize("place", ["@champion", "/1"])
def test_a_model_whose_name_has_an_at_is_addressed(tmp_path: Path, place: str) -> None:
    registered(tmp_path / "model")
    with tracking.connect() as client:
        client.rename_registered_model("tiny", "tiny@home")
        found = loading.version(client, f"models:/tiny@home{place}")
    assert (found.name, str(found.version)) == ("tiny@home", "1")
    with denoising._folder(f"models:/tiny@home{place}") as folder:
        assert (folder / WEIGHTS).read_text() == "weights"


def artifact(version: Any, name: str) -> Path:
    return Path(unquote(urlsplit(version.source).path)) / name


Damage = Callable[[Path], Any]
OTHERS = "the files of version 1 of tiny are others in the registry than those that were registered"
LOST: dict[str, tuple[str, Damage, dict[str, str]]] = {
    "no trial.json": ("the trial.json of version 1 of tiny is missing", lambda folder: (folder / TRIAL).unlink(), {}),
    "a damaged trial.json": (
        "the trial.json of version 1 of tiny is missing or damaged",
        lambda folder: (folder / TRIAL).write_text("{"),
        {},
    ),
    "another trial.json": (
        "the trial.json of version 1 of tiny is that of another trial",
        lambda folder: records.rewrite(folder / TRIAL, key="other"),
        {},
    ),
    "no weights": ("the weights of version 1 of tiny are missing", lambda folder: (folder / WEIGHTS).unlink(), {}),
    "other weights": (
        "the weights of version 1 of tiny are missing or damaged",
        lambda folder: (folder / WEIGHTS).write_text("x"),
        {},
    ),
    "no denoise_model.py": (OTHERS, lambda folder: (folder / layout.CODE).unlink(), {}),
    "another denoise_model.py": (OTHERS, lambda folder: (folder / layout.CODE).write_text("x"), {}),
    "another network": (OTHERS, lambda folder: (folder / layout.NETWORK).write_text("x"), {}),
    "another MLmodel": (OTHERS, lambda folder: (folder / layout.MLMODEL).write_text("x"), {}),
    "one more file": (OTHERS, lambda folder: (folder / "sitecustomize.py").write_text("x"), {}),
    "no tag of the package": (f"version 1 of tiny has no tag {tags.PACKAGE}", lambda _: None, {tags.PACKAGE: ""}),
    "no tag": (f"version 1 of tiny has no tag {tags.WEIGHTS}", lambda _: None, {tags.WEIGHTS: ""}),
    "another key": (
        "the trial.json of version 1 of tiny is that of another trial",
        lambda _: None,
        {tags.KEY: "other"},
    ),
    "an older schema": (
        "version 1 of tiny was registered by another version of degrain; give the study another register.name",
        lambda folder: records.rewrite(folder / TRIAL, schema_version=2),
        {},
    ),
    "other code": (
        "version 1 of tiny was trained with other code of unet than there is now; give the study another",
        lambda folder: records.rewrite(folder / TRIAL, network_sha256="0" * 64),
        {},
    ),
}


@pytest.mark.parametrize(("words", "damage", "tagged"), LOST.values(), ids=LOST)
def test_a_champion_that_is_not_the_registered_one_is_refused(
    tmp_path: Path, words: str, damage: Damage, tagged: dict[str, str]
) -> None:
    version = registered(tmp_path / "model", **tagged)
    damage(artifact(version, ""))
    with tracking.connect() as client:
        assert words in str(loading.loss(client, version))
    with pytest.raises(RegistryError) as caught, loading.folder_of("models:/tiny@champion", Path("trials")):
        pass
    assert words in str(caught.value)
    assert "degrain-" not in str(caught.value)
    assert "repro -f -s train" not in str(caught.value)


PROCESSES = 4


def at_once(code: str) -> list[str]:
    """Run some Python in several processes at once; returns what they print."""
    started = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for _ in range(PROCESSES)
    ]
    return [process.communicate()[0].strip() for process in started]


@pytest.mark.slow
def test_processes_that_open_a_new_store_at_once_do_not_break_it() -> None:
    printed = at_once(
        "from degrain.registry import tracking\n"
        "with tracking.connect() as client:\n"
        "    print(tracking.experiment(client, 'tiny'))"
    )
    assert printed == [printed[0]] * PROCESSES
    assert printed[0].isdigit()


def test_what_holds_a_lock_is_alone() -> None:
    printed = at_once(
        "import time; from pathlib import Path; from degrain.registry import tracking\n"
        "with tracking.alone(Path('a.lock')):\n"
        "    Path('mark').touch(exist_ok=False); time.sleep(0.05); Path('mark').unlink()"
    )
    assert printed == [""] * PROCESSES


@pytest.mark.parametrize("error", ["copied", "without names"])
@pytest.mark.parametrize("what", ["log_artifact", "log_artifacts", "log_dict"])
def test_a_full_artifact_store_is_named_and_not_what_is_copied(
    monkeypatch: pytest.MonkeyPatch, what: str, error: str
) -> None:
    reason = os.strerror(errno.ENOSPC)
    names = ("results/figures/x.png", None, "/store/x.png") if error == "copied" else ()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, reason, *names)

    with tracking.connect() as client:
        experiment = tracking.experiment(client, "tiny")
        monkeypatch.setattr(f"mlflow.MlflowClient.{what}", full)
        with pytest.raises(OutputError) as caught:
            publishing.publish(client, experiment, replace(make_grid(), artifacts=(Path("dvc.lock"),)))
    place = "/store/x.png" if names else r"file:///.*/tiny/[0-9a-f]+/artifacts"
    # MLflow logs dictionaries by way of log_artifact.
    other = f"(, or to {tempfile.gettempdir()})?" if not names and what != "log_artifacts" else ""
    assert re.fullmatch(rf"cannot write to MLflow's artifact store, {place}{other}: {reason}", str(caught.value))


def test_what_cannot_be_published_since_it_cannot_be_read_is_named_itself() -> None:
    with tracking.connect() as client:
        experiment = tracking.experiment(client, "tiny")
        with pytest.raises(OSError, match=r"missing\.txt"):
            publishing.publish(client, experiment, replace(make_grid(), artifacts=(Path("missing.txt"),)))


def test_a_real_full_disk_names_the_artifact_store() -> None:
    Path("figures").mkdir(exist_ok=True)
    Path("large.svg").write_bytes(b"x" * 9_000_000)
    code = """
import resource
from pathlib import Path
from degrain.errors import OutputError
from degrain.registry import runs, tracking
with tracking.connect() as client:
    run = client.create_run(tracking.experiment(client, "tiny")).info.run_id
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000, resource.RLIM_INFINITY))
    try:
        with runs.storing(client, run):
            client.log_artifact(run, "large.svg")
    except OutputError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    words = r"cannot write to MLflow's artifact store, (file://)?/.*/artifacts.*: File too large\n"
    assert re.fullmatch(words, done.stdout), done.stdout
