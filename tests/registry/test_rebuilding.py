"""A registered version is trained again from its commit, its params and its data, and nothing of it stays behind."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from degrain import files
from degrain.errors import OutputError, RegistryError
from degrain.registry import aliases, origin, publishing, rebuilding, tags, tracking, worktrees
from degrain.registry import registered as registered_files
from tests.artifacts import records
from tests.conftest import Project
from tests.pipelines.conftest import until
from tests.test_cli import assert_one_line, degrain_here

MADE_OF = {origin.PARAMS: b"a: 1\n", origin.LOCK: b"stages: {}\n"}


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def worktrees_of(folder: Path) -> int:
    return git(folder, "worktree", "list", "--porcelain").count("worktree ")


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / worktrees.FOLDER).iterdir() if not path.name.startswith("."))


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit, and an empty registry."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "code.py").write_text("a = 1\n")
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", "code.py")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def registered(commit: str, made_of: dict[str, bytes] = MADE_OF, **tagged: str) -> str:
    """Register a version that carries this; return what it is called."""
    with tracking.connect() as client:
        folder = Path("model")
        made = records.model(folder, "weights")
        run = client.create_run(tracking.experiment(client, "tiny")).info.run_id
        source = publishing.log_model(client, run, folder, made, made_of)
        says = {tags.ORIGIN: files.contents_digest(made_of), tags.COMMIT: commit, tags.MODEL: "unet", tags.TRIAL: "t"}
        number = aliases.register(client, "tiny", source, run, records.version_tags(made, folder) | says | tagged)
        return f"models:/tiny/{number.version}"


def rebuild(reference: str) -> Any:
    return rebuilding.rebuild(reference, Path(), Path("data/prepared"))


@pytest.mark.parametrize(
    ("commit", "words"),
    [
        ("0123456789ab", "the commit 0123456789ab of version 1 of tiny is not in this repository; run: git fetch"),
        ("unknown", "trained outside of git"),
        ("HEAD", "the commit holds no DVC project"),
    ],
)
def test_what_cannot_be_rebuilt_is_one_line_and_leaves_nothing(repository: Path, commit: str, words: str) -> None:
    reference = registered(commit)
    with pytest.raises((RegistryError, OutputError), match=words):
        rebuild(reference)
    assert worktrees_of(repository) == 1
    assert not (repository / worktrees.FOLDER).exists() or not left_in(repository)


def test_outside_of_git_nothing_is_rebuilt(repository: Path) -> None:
    reference = registered("HEAD")
    shutil.rmtree(repository / ".git")
    with pytest.raises(OutputError, match="needs the project's git repository"):
        rebuild(reference)


def test_the_worktree_gets_what_the_version_carries_and_not_what_is_here(repository: Path) -> None:
    (repository / "code.py").write_text("a = 2\n")
    change = git(repository, "diff", "--binary", "HEAD").encode()
    git(repository, "checkout", "code.py")
    (repository / "params.yaml").write_text("a: 7\n")
    reference = registered("HEAD-dirty", MADE_OF | {origin.DIFF: change})
    with pytest.raises(OutputError, match="the commit holds no DVC project"):
        rebuilding.rebuild(reference, Path(), Path("data/prepared"), keep=True)
    kept = repository / worktrees.FOLDER / "tiny-1"
    assert [(kept / name).read_text() for name in ("code.py", "params.yaml")] == ["a = 2\n", "a: 1\n"]
    assert (repository / "code.py").read_text() == "a = 1\n"


def test_uncommitted_changes_must_apply(repository: Path) -> None:
    (repository / "code.py").write_text("a = 2\n")
    change = git(repository, "diff", "--binary", "HEAD").encode()
    git(repository, "commit", "-qam", "second")
    with pytest.raises(
        OutputError, match=r"the uncommitted changes of version 1 of tiny do not apply to its commit HEAD"
    ):
        rebuild(registered("HEAD-dirty", MADE_OF | {origin.DIFF: change}))
    assert worktrees_of(repository) == 1


@pytest.mark.parametrize(
    ("trained", "registered_at", "code"),
    [
        ("aaa", "bbb-dirty", registered_files.Code("aaa", changed=False)),
        ("aaa-dirty", "bbb-dirty", registered_files.Code("bbb", changed=True)),
        ("aaa-dirty", "", registered_files.Code("aaa", changed=True)),
        ("unknown", "unknown", registered_files.Code("", changed=False)),
    ],
)
def test_changed_code_is_that_of_the_commit_that_registered_it(
    repository: Path, trained: str, registered_at: str, code: registered_files.Code
) -> None:
    carried = MADE_OF | {origin.DIFF: b"diff", origin.COMMIT: f"{registered_at}\n".encode()}
    with tracking.connect() as client:
        version = client.get_model_version("tiny", registered(trained, carried).rpartition("/")[2])
        assert registered_files.code(version, origin.read(client, version)) == code


def test_a_version_whose_files_were_changed_is_not_rebuilt(repository: Path) -> None:
    with pytest.raises(RegistryError, match="are others in the registry than those that were registered"):
        rebuild(registered("HEAD", **{tags.PACKAGE: "0" * 64}))


def test_what_a_killed_rebuild_left_is_removed_and_what_was_kept_stays(repository: Path) -> None:
    with worktrees.opened(repository, "kept-1", "HEAD", keep=True) as kept:
        pass
    dead = repository / worktrees.FOLDER / "dead-1"
    git(repository, "worktree", "add", "--quiet", "--detach", str(dead), "HEAD")
    dead.with_name("dead-1.lock").touch()
    with worktrees.opened(repository, "next-1", "HEAD", keep=False) as folder:
        assert (folder / "code.py").read_text() == "a = 1\n"
        assert left_in(repository) == ["kept-1", "next-1", "next-1.lock"]
        with (
            pytest.raises(OutputError, match="next-1 is being rebuilt by another process"),
            worktrees.opened(repository, "next-1", "HEAD", keep=False),
        ):
            pass
    assert left_in(repository) == ["kept-1"]
    assert worktrees_of(repository) == 2
    with (
        pytest.raises(OutputError, match=r"is there already.*git worktree remove --force \.degrain/rebuilds/kept-1"),
        worktrees.opened(repository, "kept-1", "HEAD", keep=False),
    ):
        pass
    assert (kept / "code.py").exists()


def test_what_differs_is_named() -> None:
    made = rebuilding.Made.model_validate(records.trial().model_dump(mode="json"))
    other = made.model_copy(
        update={
            "key": "other",
            "versions": {"torch": "1.3"},
            "place": made.place | {"machine": "AVX512"},
            "sha256": {"weights.safetensors": "v" * 64},
        }
    )
    lines = rebuilding.conclusion(rebuilding.Rebuilt("version 3 of tiny", made, other, scores=(30.0, 29.9985)))
    assert lines == [
        "version 3 of tiny is rebuilt: another key, other instead of key, other bits",
        "test patches: 30.00 dB registered, 30.00 dB rebuilt (-0.0015 dB)",
        "differs: machine is AVX512 here, and was AVX2",
        "differs: torch is 1.3 here, and was 1.2",
    ]


@pytest.fixture
def project(reproduced: Project, tmp_path: Path) -> Project:
    """A study that has run, and whose best trial a person has made the champion."""
    folder = Path(shutil.copytree(reproduced.folder, tmp_path / "copy", symlinks=True))
    done = degrain_here(folder, "promote", "1", "--reason", "the only one")
    assert done.returncode == 0, done.stderr
    return Project(folder)


def entries(project: Project) -> list[str]:
    return sorted(path.name for path in (project.folder / ".degrain" / "trials").iterdir())


@pytest.mark.slow
def test_what_takes_a_trial_from_the_ledger_is_said_but_not_in_a_rebuild(project: Project, tmp_path: Path) -> None:
    words = ("degrain", "train", "--model", "unet", "--trial", "unet-adam-mse", "--in-process")
    elsewhere = {"DEGRAIN_PROJECT": str(tmp_path), "DEGRAIN_HOME": str(project.folder / ".degrain")}
    for settings, is_told in (({}, True), (elsewhere, False)):
        done = project.run(*words, **settings)
        assert done.returncode == 0, done.stderr
        told = "unet-adam-mse is in the ledger, from which dvc repro train@unet takes it" in done.stderr
        assert told == is_told


@pytest.mark.slow
def test_the_champion_is_rebuilt_bit_for_bit_in_a_worktree(project: Project) -> None:
    before = entries(project), project.run("git", "status", "--porcelain").stdout
    project.change(train={"epochs": 7})  # of the next study, which is not the champion's
    done = project.run("degrain", "rebuild", "models:/tiny@champion", "--keep")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "version 1 of tiny is rebuilt: the same key" in done.stdout
    assert "the same bits" in done.stdout
    assert "data/prepared comes from the DVC cache" in done.stderr
    assert "is in the ledger" not in done.stderr
    assert left_in(project.folder) == ["tiny-1"]
    project.run("git", "checkout", "params.yaml")
    assert (entries(project), project.run("git", "status", "--porcelain").stdout) == before


@pytest.mark.slow
def test_data_comes_from_a_remote_with_a_relative_path_and_other_instructions_are_told(project: Project) -> None:
    for command in (("remote", "add", "-d", "store", "../store"), ("push",)):
        done = project.run("dvc", *command)
        assert done.returncode == 0, done.stderr
    shutil.rmtree(project.folder / ".dvc" / "cache")
    # NOTE: as another kind of processor would compute; one that has no better instructions gives the same bits.
    done = project.run("degrain", "rebuild", ONEDNN_MAX_CPU_ISA="SSE41")
    assert done.returncode in (0, 3), done.stdout + done.stderr
    assert "data/prepared comes from the DVC remote" in done.stderr
    assert re.search(r"ONEDNN_MAX_CPU_ISA=SSE41\b.* here, and was", done.stdout)
    assert ("rebuilt (" in done.stdout) == (done.returncode == 3)
    assert left_in(project.folder) == []


@pytest.mark.slow
def test_data_that_nobody_has_is_made_again(project: Project) -> None:
    shutil.rmtree(project.folder / ".dvc" / "cache")
    done = project.run("degrain", "rebuild")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "there is no DVC remote; it is made again from the published data" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_an_interrupted_rebuild_leaves_nothing(project: Project, number: int, code: int) -> None:
    with subprocess.Popen(
        ["degrain", "rebuild"], cwd=project.folder, env=project.environment(), stderr=subprocess.PIPE, text=True
    ) as process:
        ledger = project.folder / worktrees.FOLDER / "tiny-1" / ".degrain" / "trials"
        for _ in range(1200):
            if ledger.exists():
                break
            time.sleep(0.1)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    assert until(lambda: not list(running_in(project.folder)), 30)
    if number == signal.SIGKILL:  # what it has left goes with the next one
        with worktrees.opened(project.folder, "next-1", "HEAD", keep=False):
            assert left_in(project.folder) == ["next-1", "next-1.lock"]
    assert left_in(project.folder) == []
    assert worktrees_of(project.folder) == 1


def running_in(folder: Path) -> Iterator[str]:
    """Processes whose folder is in this one; that of a folder that is gone is called so."""
    for process in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if str(process.readlink()).startswith(f"{folder}/"):
                yield process.parent.name
        except OSError:
            continue


def test_a_model_of_no_registry_is_one_line(repository: Path) -> None:
    assert_one_line(
        degrain_here(repository, "rebuild", "models:/tiny@champion"), "the registry has no champion of 'tiny'"
    )
