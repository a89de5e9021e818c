"""A run works in a worktree of its own, shares what is expensive, and brings its results back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo

from degrain.errors import OutputError, ParamsError
from pipelines import publishing, workspaces
from pipelines.processes import Children, dvc
from tests.conftest import ROOT, Project
from tests.pipelines.conftest import commit


def git(project: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=project, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def silent(_: str) -> None:
    pass


def test_a_workspace_is_the_commit_and_leaves_nothing(copy: Project) -> None:
    said: list[str] = []
    (copy.folder / "README.md").write_text("being edited")
    with workspaces.opened(copy.folder, "a", said.append) as workspace:
        assert workspace.folder.parent == copy.folder / ".degrain" / "workspaces"
        assert (workspace.folder / "README.md").read_text() != "being edited"
        assert said == ["1 files that are not committed are no part of this run: README.md"]
        with Children(1, workspace.environment) as children:
            workspaces.restore(workspace, children)
            ended = children.run(dvc("status"), workspace.folder, silent)
            # NOTE: what register leaves is in no cache, since the registry may have changed; it runs in each workspace.
            assert [line for line in ended.lines if line.endswith(":") and line[0] != "\t"] == ["register:"]
    assert not workspace.folder.exists()
    assert git(copy.folder, "worktree", "list").count("\n") == 0
    assert (copy.folder / "README.md").read_text() == "being edited"


@pytest.mark.parametrize("level", [(), ("--local",)])
def test_a_relative_remote_is_that_of_the_project(small: Project, level: tuple[str, ...]) -> None:
    for command in (
        ("remote", "add", *level, "--default", "store", "../store"),
        ("remote", "add", *level, "keyed", "ssh://nowhere/store"),
        ("remote", "modify", *level, "keyed", "keyfile", "../key"),
        ("remote", "add", *level, "far", "s3://bucket/store"),
    ):
        assert small.run("dvc", *command).returncode == 0
    if not level:
        commit(small)
    with workspaces.opened(small.folder, "a", silent) as workspace, Children(1, workspace.environment) as children:
        listed = (workspace.folder / ".dvc" / "config.local").read_text()
        assert str(small.folder.parent / "key") in listed
        assert ".." not in listed
        assert children.run(dvc("repro"), workspace.folder, print).code == 0
        assert publishing.push(workspace, children, silent)
    assert any((small.folder.parent / "store").rglob("*"))
    assert not any(path.is_dir() for path in (small.folder / workspaces.FOLDER).iterdir())


def test_no_hook_runs(small: Project, tmp_path: Path) -> None:
    assert small.run("dvc", "install").returncode == 0
    assert small.run("git", "init", "-q", "--bare", str(tmp_path / "origin.git")).returncode == 0
    git(small.folder, "remote", "add", "origin", str(tmp_path / "origin.git"))
    for hook in (small.folder / ".git" / "hooks").iterdir():
        hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hook-ran\nexit 1\n")
        hook.chmod(0o755)
    with workspaces.opened(small.folder, "a", silent) as workspace, Children(1, workspace.environment) as children:
        workspaces.compose(workspace, "", ["number=2"])
        assert children.run(dvc("repro"), workspace.folder, print).code == 0
        publishing.save_experiment(workspace, "saved", "Run: saved", ["made"], children, print)
        commit_made = publishing.commit_to(workspace, "nightly", "a run", silent)
        assert not workspaces.publish(workspace.folder, commit_made, "refs/degrain/runs/a/made")
    assert not (tmp_path / "hook-ran").exists()


def test_worktrees_of_people_stay_even_while_they_are_away(small: Project, tmp_path: Path) -> None:
    away = tmp_path / "away"
    git(small.folder, "worktree", "add", "-q", "-b", "feature", str(away))
    away.rename(tmp_path / "elsewhere")
    with workspaces.opened(small.folder, "a", silent):
        pass
    workspaces.sweep(small.folder)
    (tmp_path / "elsewhere").rename(away)
    assert git(away, "rev-parse", "--abbrev-ref", "HEAD") == "feature"
    assert git(small.folder, "worktree", "list").count("\n") == 1


@pytest.mark.parametrize("early", [False, True])
def test_nothing_is_left_of_a_worktree_whose_making_was_broken_off(
    small: Project, monkeypatch: pytest.MonkeyPatch, early: bool
) -> None:
    entry = small.folder / ".git" / "worktrees" / "a"

    def broken_off(folder: Path, *arguments: str, fails: bool = False) -> str:
        told = run(folder, *arguments, fails=fails)
        if arguments[:2] == ("worktree", "add"):
            # As git leaves it when a signal ends it.
            (entry / "locked").write_text("initializing")
            if early:
                (entry / "gitdir").unlink()
            raise KeyboardInterrupt
        return told

    run = workspaces.git
    monkeypatch.setattr(workspaces, "git", broken_off)
    with pytest.raises(KeyboardInterrupt), workspaces.opened(small.folder, "a", silent):
        pass
    assert not entry.exists()
    assert git(small.folder, "worktree", "list").count("\n") == 0
    assert not list((small.folder / workspaces.FOLDER).glob("*/"))


def test_no_file_is_left_of_a_run(small: Project) -> None:
    base = small.folder / workspaces.FOLDER
    with workspaces.opened(small.folder, "a", silent):
        assert (base / "a.lock").exists()
    with pytest.raises(OutputError), workspaces.opened(small.folder, "b", silent, "no-such-commit"):
        pass
    (base / "killed.lock").touch()
    workspaces.sweep(small.folder)
    assert [path.name for path in base.iterdir() if not path.name.startswith(".")] == []


def test_what_dvc_remembers_of_a_workspace_goes_with_it(small: Project) -> None:
    with workspaces.opened(small.folder, "a", silent) as workspace, Repo(str(workspace.folder)) as repo:
        place = Path(repo.site_cache_dir)
        assert place.is_dir()
        assert workspace.folder in place.parents
    assert not place.exists()


def test_a_revision_is_what_git_names_so_and_else_an_experiment(small: Project) -> None:
    first = git(small.folder, "rev-parse", "HEAD")
    (small.folder / "params.yaml").write_text("number: 2\n")
    second = commit(small)
    git(small.folder, "tag", "-a", "-m", "of both kinds", "both", first)

    def experiment(baseline: str, name: str, made: str) -> None:
        git(small.folder, "update-ref", f"refs/exps/{baseline[:2]}/{baseline[2:]}/{name}", made)

    for name in ("both", "one", "two", "main"):
        experiment(first, name, second if name != "main" else first)
    experiment(second, "two", first)
    expected = {"main": second, "both": first, first: first, first[:8]: first, "HEAD~1": first, "one": second}
    assert {name: workspaces.resolve(small.folder, name) for name in expected} == expected
    for name in ("*", "o*", "one*", "on[e]", "?ne", "", "--all", "-1", "exps/one", f"{first[2:]}/one"):
        with pytest.raises(ParamsError, match="there is no branch, tag, commit or DVC experiment"):
            workspaces.resolve(small.folder, name)
    with pytest.raises(ParamsError, match=f"2 DVC experiments 'two': .*{second[:10]} on {first[:10]}"):
        workspaces.resolve(small.folder, "two")


def test_files_that_are_no_part_of_a_run_are_told(small: Project) -> None:
    (small.folder / "conf" / "study").mkdir(parents=True)
    for name in ("a", "b", "c", "d"):
        (small.folder / "conf" / "study" / f"{name}.yaml").write_text("")
    (small.folder / "made.txt").write_text("git ignores it")
    (small.folder / "params.yaml").write_text("number: 2\n")
    said: list[str] = []
    with workspaces.opened(small.folder, "a", said.append) as workspace:
        with pytest.raises(ParamsError, match=r"the study a is not committed .* git add conf/study/a.yaml, and commit"):
            workspaces.compose(workspace, "a", [])
        with pytest.raises(ParamsError, match=r"there is no study '\.\./study/e'"):
            workspaces.compose(workspace, "../study/e", [])
    assert said == [
        "1 files that are not committed are no part of this run: params.yaml",
        "4 files that git does not track are no part of this run: "
        "conf/study/a.yaml, conf/study/b.yaml, conf/study/c.yaml, ...",
    ]


def test_what_dead_runs_have_sent_is_swept_here_and_on_the_origin(small: Project, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--bare", "origin.git")
    git(small.folder, "remote", "add", "origin", str(tmp_path / "origin.git"))
    at = git(small.folder, "rev-parse", "HEAD")
    with workspaces.claimed(small.folder, "alive"):
        for run in ("dead", "alive"):
            assert not workspaces.publish(small.folder, at, f"refs/degrain/runs/{run}/train@unet")
        git(small.folder, "push", "-q", "origin", f"{at}:refs/degrain/runs/of-another-clone/train")
        workspaces.sweep(small.folder)
        here = git(small.folder, "for-each-ref", "--format=%(refname)", "refs/degrain")
        there = git(tmp_path / "origin.git", "for-each-ref", "--format=%(refname)", "refs/degrain")
    assert here == "refs/degrain/runs/alive/train@unet"
    assert there.split() == ["refs/degrain/runs/alive/train@unet", "refs/degrain/runs/of-another-clone/train"]
    assert not list((small.folder / workspaces.FOLDER).glob("[!.]*"))
    (tmp_path / "origin.git").rename(tmp_path / "away.git")
    workspaces.sweep(small.folder)
    assert git(small.folder, "for-each-ref", "refs/degrain"), "kept, to be swept on the origin another time"
    (tmp_path / "away.git").rename(tmp_path / "origin.git")
    workspaces.sweep(small.folder)
    assert not git(small.folder, "for-each-ref", "refs/degrain")


def test_what_a_run_in_another_worktree_has_sent_stays(small: Project, tmp_path: Path) -> None:
    git(small.folder, "worktree", "add", "-q", str(tmp_path / "other"), "-b", "other")
    at = git(small.folder, "rev-parse", "HEAD")
    with workspaces.claimed(tmp_path / "other", "another"):
        with workspaces.claimed(small.folder, "alive"):
            workspaces.publish(small.folder, at, "refs/degrain/runs/alive/train@unet")
            workspaces.sweep(tmp_path / "other")
            assert git(small.folder, "for-each-ref", "refs/degrain")
        workspaces.sweep(tmp_path / "other")
    assert not git(small.folder, "for-each-ref", "refs/degrain")


def test_a_worker_keeps_no_name_of_what_it_fetches(small: Project, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(small.folder), "origin.git")
    git(small.folder, "remote", "add", "origin", str(tmp_path / "origin.git"))
    git(tmp_path, "clone", "-q", str(tmp_path / "origin.git"), "worker")
    (small.folder / "params.yaml").write_text("number: 2\n")
    sent = workspaces.snapshot(small.folder, "sent", [workspaces.head(small.folder)])
    assert not workspaces.publish(small.folder, sent, "refs/degrain/runs/r/made")
    workspaces.bring(tmp_path / "worker", sent, "refs/degrain/runs/r/made")
    assert git(tmp_path / "worker", "show", f"{sent}:params.yaml") == "number: 2"
    assert git(tmp_path / "worker", "for-each-ref", "refs/degrain") == ""


def test_nothing_but_workspaces_is_swept(small: Project) -> None:
    others = small.folder / workspaces.FOLDER / "store" / "data"
    others.mkdir(parents=True)
    workspaces.sweep(small.folder)
    assert others.exists()


def test_the_workspaces_of_dead_runs_are_removed_and_others_stay(copy: Project) -> None:
    script = """
import sys, time
from pathlib import Path
from pipelines import publishing, workspaces
with workspaces.opened(Path(), "dead", print):
    print("open", flush=True)
    time.sleep(600)
"""
    run = subprocess.Popen(
        [sys.executable, "-c", script], cwd=copy.folder, env=copy.environment(), stdout=subprocess.PIPE, text=True
    )
    assert run.stdout is not None
    assert run.stdout.readline() == "open\n"
    folder = copy.folder / ".degrain" / "workspaces" / "dead"
    workspaces.sweep(copy.folder)
    assert folder.exists()
    run.kill()
    run.wait()
    run.stdout.close()
    workspaces.sweep(copy.folder)
    assert not folder.exists()
    assert git(copy.folder, "worktree", "list").count("\n") == 0


def test_two_workspaces_do_not_meet(copy: Project) -> None:
    with workspaces.opened(copy.folder, "a", silent) as one, workspaces.opened(copy.folder, "b", silent) as other:
        workspaces.compose(one, "", ["train.epochs=3"])
        workspaces.compose(other, "", ["train.epochs=4"])
        epochs = [yaml.safe_load((w.folder / "params.yaml").read_text())["train"]["epochs"] for w in (one, other)]
        assert epochs == [3, 4]
        with pytest.raises(OutputError, match="a run named a is going on"), workspaces.opened(copy.folder, "a", silent):
            pass


def test_a_study_is_composed_as_dvc_would(copy: Project) -> None:
    with workspaces.opened(copy.folder, "a", silent) as workspace:
        workspaces.compose(workspace, "mnist", ["train.epochs=1"])
        params = yaml.safe_load((workspace.folder / "params.yaml").read_text())
        assert (params["study"]["name"], params["train"]["epochs"]) == ("mnist", 1)
        with pytest.raises(ParamsError, match="there is no study 'mnits'; did you mean 'mnist'"):
            workspaces.compose(workspace, "mnits", [])
        with pytest.raises(ParamsError, match="train"):
            workspaces.compose(workspace, "", ["train.epochs"])


@pytest.mark.slow
def test_a_stage_in_a_temporary_copy_runs_the_code_of_that_copy(quick: Project, tmp_path: Path) -> None:
    how, _, _ = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["prepare"]["cmd"].partition("degrain ")
    tell = f"import degrain; open({str(tmp_path / 'told')!r}, 'w').write(degrain.__file__)"
    (quick.folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"told": {"cmd": f'{how}python -c "{tell}"'}}}))
    commit(quick)
    done = quick.run("dvc", "exp", "run", "--temp")
    assert done.returncode == 0, done.stdout + done.stderr
    copies = quick.folder / ".dvc" / "tmp" / "exps"
    assert copies in Path((tmp_path / "told").read_text()).parents
