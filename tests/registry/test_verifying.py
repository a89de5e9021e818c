"""Whatever was changed behind degrain's back is found, with what to do about it, and nothing is changed."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from degrain import files
from degrain.cli.registry import LONGEST
from degrain.registry import tags, tracking, turns
from tests.conftest import Project
from tests.test_cli import assert_one_line, degrain_here


@pytest.fixture
def project(reproduced: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A study that has run, and whose best trial a person has made the champion."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = Path(shutil.copytree(reproduced.folder, tmp_path / "copy", symlinks=True))
    done = degrain_here(folder, "promote", "1", "--reason", "the only one")
    assert done.returncode == 0, done.stderr
    return Project(folder)


def verify(project: Project) -> tuple[int, dict[str, Any]]:
    done = degrain_here(project.folder, "verify", "--json")
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def findings(told: dict[str, Any]) -> list[str]:
    return [f"{one['what']}; {one['todo']}" for check in told["checks"] for one in check["findings"]]


def append(path: Path, text: str = "x") -> None:
    """Change bytes that may be read-only and have several names."""
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content + text.encode())


def test_what_a_run_has_left_holds_and_is_not_changed(project: Project) -> None:
    kept = [project.folder / name for name in (".degrain/trials", ".degrain/mlflow/artifacts", "results", ".dvc/cache")]
    before = [files.tree_digest(folder) for folder in kept]
    done = degrain_here(project.folder, "verify")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert "holds: registered versions have their runs, and the files that were registered (1)" in lines
    assert "holds: aliases are where the journal of promotions says (1)" in lines
    assert "holds: ledger entries are whole and agree with registered versions (4)" in lines
    assert "not checked: the DVC remote has the objects of dvc.lock: there is no DVC remote" in lines
    assert all(line.startswith(("holds: ", "not checked: ")) for line in lines)
    assert [files.tree_digest(folder) for folder in kept] == before


def test_every_change_is_found(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.folder)
    registered = json.loads(Path("results/registration.json").read_text())
    with tracking.connect() as client:
        version = client.get_model_version("tiny", "1")
        append(Path(unquote(urlsplit(version.source).path)) / "README.md")
        run = Path(unquote(urlsplit(client.get_run(version.run_id).info.artifact_uri).path))
        append(next(run.glob("origin/*/params.yaml")))
        gone = next(run for name, run in registered["runs"].items() if name != registered["trial"])
        client.delete_run(gone)
        client.delete_registered_model_alias("tiny", "champion")
        client.set_model_version_tag("tiny", "1", tags.COMMIT, "0123456789ab")
    key = registered["trial_key"]
    append(Path(".degrain/trials") / key / "weights.safetensors")
    append(Path("results/promotions.jsonl"), "{}\n")
    some = max(Path(".dvc/cache/files/md5").glob("*/*"), key=lambda path: path.stat().st_size)
    append(some, " ")
    assert project.run("dvc", "remote", "add", "-d", "store", str(project.folder.parent / "store")).returncode == 0

    code, told = verify(project)
    assert code == 1
    assert not told["holds"]
    found = findings(told)
    for words in (
        "the files of version 1 of tiny are others in the registry than those that were registered; restore it from a "
        "backup, bring MLflow's artifact store back if it is away, or delete the version",
        "what version 1 of tiny was made of is other in the registry than when it was registered; it cannot be rebuilt",
        f"run {gone} was deleted; restore it: MLFLOW_TRACKING_URI=$(degrain tracking-uri) mlflow runs restore --run-id",
        "the alias champion of tiny is at no version, and the journal says version 1; degrain promote 1 --reason",
        "the commit 0123456789ab of version 1 of tiny is not in this repository; git fetch",
        f"weights.safetensors of {registered['trial']} in the ledger ({key}) is missing or was changed",
        "results/promotions.jsonl is no copy of the journal of tiny; dvc repro -f -s register writes it anew",
        f"{some.name} in the DVC cache, of ",
        "are not in the DVC remote store; dvc push",
    ):
        assert any(words in one for one in found), f"{words}: {found}"


def test_the_alias_moved_by_hand_is_found_and_can_be_set_back(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)
    with tracking.connect() as client:
        first = client.get_model_version("tiny", "1")
        second = client.create_model_version("tiny", first.source, first.run_id, tags=first.tags)
        client.set_registered_model_alias("tiny", "champion", second.version)
    code, told = verify(project)
    assert code == 1
    assert findings(told) == [
        "the alias champion of tiny is at version 2, and the journal says version 1; degrain promote 1 --reason ... "
        "sets it back; to keep version 2, take the alias away in MLflow, then degrain promote 2"
    ]
    assert degrain_here(project.folder, "promote", "1", "--reason", "as it was").returncode == 0
    assert verify(project)[0] == 0


def test_a_copy_of_the_journal_that_ends_early_is_found_and_written_anew_where_nothing_moves(project: Project) -> None:
    copy = project.folder / "results" / "promotions.jsonl"
    whole = copy.read_text()
    for words in (("promote", "1", "--reason", "x"), ("rollback", "--reason", "x")):
        copy.write_text("")
        code, told = verify(project)
        assert code == 1
        assert findings(told) == [
            "results/promotions.jsonl has only the first 0 of 1 promotions of tiny; degrain promote 1 --reason ... or "
            "dvc repro -f -s register writes it anew"
        ]
        assert degrain_here(project.folder, *words).returncode == 2
        assert copy.read_text() == whole
    assert verify(project)[0] == 0


def test_a_copy_of_the_journal_may_lack_what_others_have_promoted_since(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.folder / "results" / "promotions.jsonl").write_text("")
    monkeypatch.setattr(turns, "who", lambda: "somebody@elsewhere")
    assert verify(project)[0] == 0


def test_a_deleted_experiment_is_one_line_that_says_how_to_restore_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)
    with tracking.connect() as client:
        experiment = client.get_experiment_by_name("tiny").experiment_id
        client.delete_experiment(experiment)
    restore = (
        "restore it: MLFLOW_TRACKING_URI=$(degrain tracking-uri) mlflow experiments restore --experiment-id "
        f"{experiment}"
    )
    began = time.monotonic()
    assert_one_line(degrain_here(project.folder, "publish"), f"the experiment tiny was deleted in MLflow; {restore}")
    assert time.monotonic() - began < LONGEST / 2, "it is not tried again"
    code, told = verify(project)
    assert code == 1
    assert findings(told) == [f"the experiment tiny was deleted, with its runs; {restore}; then verify again"]
    with tracking.connect() as client:
        client.restore_experiment(experiment)
    assert verify(project)[0] == 0


def test_a_champion_is_not_called_lost_while_the_artifact_store_is_away(project: Project) -> None:
    artifacts = project.folder / ".degrain" / "mlflow" / "artifacts"
    artifacts.rename(project.folder / "away")
    code, told = verify(project)
    assert code == 1
    (found,) = (one for one in findings(told) if one.startswith("version 1 of tiny cannot be looked at: "))
    assert "artifact store may be away, as an unmounted volume is; bring it back" in found
    assert "degrain rollback" not in found


def test_a_model_that_the_registry_does_not_have_is_one_line(project: Project) -> None:
    done = degrain_here(project.folder, "verify", "--name", "nosuch")
    words = "run dvc repro, or, where the study has been run, dvc repro -f -s register; or name another with --name"
    assert_one_line(done, f"the registry has no model 'nosuch': {words}")


def test_two_active_runs_of_a_trial_are_found_and_the_one_to_delete_is_named(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)
    before = json.loads(Path("results/registration.json").read_text())["runs"]
    with tracking.connect() as client:
        for run in before.values():
            client.delete_run(run)
        published = degrain_here(project.folder, "publish")
        assert published.returncode == 0, published.stderr
        experiment = client.get_experiment_by_name("tiny").experiment_id
        again = {run.info.run_name: run.info.run_id for run in client.search_runs([experiment])}
        for run in before.values():
            client.restore_run(run)
        code, told = verify(project)
        assert code == 1
        assert len(findings(told)) == len(before)
        for name, run in before.items():
            (found,) = (
                one for one in findings(told) if one.startswith(f"{name} has 2 active runs: {run}, {again[name]}")
            )
            assert f"; keep {run}" in found
            command = f"MLFLOW_TRACKING_URI=$(degrain tracking-uri) mlflow runs delete --run-id {again[name]}"
            assert found.endswith(f": {command}")
            client.delete_run(again[name])
    assert verify(project)[0] == 0


def test_without_a_registry_there_is_nothing_to_verify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert_one_line(degrain_here(tmp_path, "verify", "--name", "tiny"), "there is no registry")
    assert not list(tmp_path.iterdir())
