"""What a run made goes to an experiment or a branch, and takes nothing away from what others have pushed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from degrain.errors import OutputError, ParamsError
from pipelines import publishing, reproduce, workspaces
from pipelines.processes import Children, dvc
from pipelines.workspaces import Workspace
from tests.conftest import Project
from tests.pipelines.conftest import commit
from tests.pipelines.test_workspaces import git, silent


def changed(workspace: Workspace, children: Children) -> None:
    """Run a stage anew, with another result."""
    workspaces.restore(workspace, children)
    workspaces.compose(workspace, "", ["evaluate.baselines=[]"])
    assert children.run(dvc("repro", "evaluate"), workspace.folder, print).code == 0


@pytest.mark.slow
def test_results_come_back_as_an_experiment(copy: Project) -> None:
    # As before a project's first run: git does not know the metrics yet.
    for command in (("git", "rm", "-q", "results/metrics.json"), ("git", "commit", "-qm", "no metrics")):
        assert copy.run(*command).returncode == 0
    with workspaces.opened(copy.folder, "a", silent) as workspace, Children(1, workspace.environment) as children:
        changed(workspace, children)
        done = ["download", "validate", "prepare", "train@sinha2018", "train@unet", "evaluate"]
        publishing.save_experiment(workspace, "without-baselines", "Run: tiny", done, children, print)
    listed = copy.run("dvc", "exp", "list", "--names-only")
    assert listed.stdout.split() == ["without-baselines"]
    applied = copy.run("dvc", "exp", "apply", "without-baselines")
    assert applied.returncode == 0, applied.stderr
    assert yaml.safe_load(copy.read("params.yaml"))["evaluate"]["baselines"] == []
    status = copy.run("dvc", "status", "evaluate")
    assert status.stdout.strip().endswith("up to date."), status.stdout
    assert b"unet" in copy.read("results/metrics.json")


def test_results_come_back_as_a_commit_on_a_branch(copy: Project) -> None:
    head = git(copy.folder, "rev-parse", "HEAD")
    with workspaces.opened(copy.folder, "a", silent) as workspace:
        assert publishing.commit_to(workspace, "nothing", "nothing changed", silent)
        workspaces.compose(workspace, "", ["train.epochs=3"])
        first = publishing.commit_to(workspace, "nightly", "Run: tiny", silent)
        assert publishing.commit_to(workspace, "nightly", "again", silent) == first
    assert git(copy.folder, "rev-parse", "nightly") == first
    assert git(copy.folder, "rev-parse", "nightly^") == head
    assert git(copy.folder, "diff", "--name-only", head, first) == "params.yaml"
    assert git(copy.folder, "rev-parse", "HEAD") == head
    with workspaces.opened(copy.folder, "b", silent) as workspace:
        workspaces.compose(workspace, "", ["train.epochs=4"])
        second = publishing.commit_to(workspace, "nightly", "Run: tiny", silent)
        assert git(copy.folder, "rev-parse", f"{second}^") == first
        with pytest.raises(OutputError, match="the branch main is checked out"):
            publishing.commit_to(workspace, "main", "no", silent)


@pytest.mark.parametrize("branch", ["", "a b", "..", "-x", "a.lock", "@{-1}", "-", "HEAD", "a//b", "/a", "a/"])
def test_a_name_that_no_branch_can_have_is_refused(small: Project, branch: str) -> None:
    git(small.folder, "checkout", "-q", "-b", "before")
    git(small.folder, "checkout", "-q", "main")
    with pytest.raises(ParamsError, match="is no name of a branch"):
        publishing.refuse(small.folder, branch, "HEAD", silent)


@pytest.mark.parametrize("where", ["here", "there"])
def test_a_branch_beside_which_git_has_no_other_is_refused(small: Project, tmp_path: Path, where: str) -> None:
    git(tmp_path, "init", "-q", "--bare", "origin.git")
    git(small.folder, "remote", "add", "origin", str(tmp_path / "origin.git"))
    git(small.folder, "branch", "night/one")
    if where == "there":
        git(small.folder, "push", "-q", "origin", "night/one")
        git(small.folder, "branch", "-D", "night/one")
    for branch in ("night", "night/one/two"):
        with pytest.raises(ParamsError, match=f"no branch {branch} beside night/one"):
            publishing.refuse(small.folder, branch, "HEAD", silent)
    for branch in ("night/one", "night/two", "nigh", "nightly"):
        publishing.refuse(small.folder, branch, "HEAD", silent)


def test_a_branch_that_is_checked_out_is_refused(small: Project, tmp_path: Path) -> None:
    git(small.folder, "worktree", "add", "-q", "-b", "feature", str(tmp_path / "feature"))
    for branch in ("main", "feature"):
        with pytest.raises(OutputError, match=f"the branch {branch} is checked out"):
            publishing.refuse(small.folder, branch, "HEAD", silent)


def test_commits_of_nobody_are_refused_before_anything_runs(small: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.delenv("EMAIL", raising=False)
    git(small.folder, "config", "--unset", "user.email")
    git(small.folder, "config", "user.useConfigOnly", "true")
    for publish in ("experiment", "branch:nightly"):
        with pytest.raises(ParamsError, match="git does not know whose"):
            reproduce.refuse(small.folder, publish, "", "", silent)
    reproduce.refuse(small.folder, "here", "", "", silent)
    monkeypatch.setenv("GIT_AUTHOR_EMAIL", "a@example.com")
    monkeypatch.setenv("GIT_COMMITTER_EMAIL", "a@example.com")
    reproduce.refuse(small.folder, "branch:nightly", "", "", silent)


def test_data_is_pushed_where_there_is_a_remote(copy: Project, tmp_path: Path) -> None:
    workspace = Workspace(copy.folder, copy.folder)
    with Children(1, workspace.environment) as children:
        assert publishing.push(workspace, children, silent) is False
        copy.run("dvc", "remote", "add", "--local", "--default", "here", str(tmp_path / "remote"))
        assert publishing.push(workspace, children, silent) is True
    assert any((tmp_path / "remote").rglob("*"))


@pytest.fixture
def origin(small: Project, tmp_path: Path) -> Project:
    """Another clone of the origin of a small project that has a DVC remote."""
    assert small.run("dvc", "remote", "add", "--default", "store", str(tmp_path / "store")).returncode == 0
    commit(small, "a remote")
    git(tmp_path, "clone", "-q", "--bare", str(small.folder), str(tmp_path / "origin.git"))
    git(small.folder, "remote", "add", "origin", str(tmp_path / "origin.git"))
    git(tmp_path, "clone", "-q", str(tmp_path / "origin.git"), str(tmp_path / "other"))
    other = Project(tmp_path / "other")
    for name, value in (("user.name", "other"), ("user.email", "other@example.com")):
        git(other.folder, "config", name, value)
    return other


def published(project: Project, number: int, branch: str = "nightly") -> str:
    """Run the stage with another number, and publish it to a branch; returns the commit."""
    with (
        workspaces.opened(project.folder, f"run-{number}", silent) as workspace,
        Children(1, workspace.environment) as children,
    ):
        workspaces.compose(workspace, "", [f"number={number}"])
        assert children.run(dvc("repro"), workspace.folder, print).code == 0
        made, pushed = publishing.to_branch(workspace, branch, f"Run: {number}", children, print)
        assert pushed
    return made


def test_commits_that_others_have_pushed_stay(small: Project, origin: Project) -> None:
    first = published(small, 2)
    git(origin.folder, "fetch", "-q")
    second = published(origin, 3)
    third = published(small, 4)
    assert git(origin.folder, "ls-remote", "origin", "refs/heads/nightly").split()[0] == third
    assert git(small.folder, "rev-parse", "nightly") == third
    assert git(small.folder, "rev-list", "--first-parent", "-3", "nightly").split() == [third, second, first]


def test_a_branch_that_moves_while_it_is_pushed_is_fetched_again(
    small: Project, origin: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs: list[str] = []

    def overtaken(folder: Path, *arguments: str, fails: bool = False) -> str:
        if arguments[0] == "push" and not theirs:
            theirs.append("")
            theirs[0] = published(origin, 3)
        return run(folder, *arguments, fails=fails)

    run = publishing.at_origin
    monkeypatch.setattr(publishing, "at_origin", overtaken)
    made = published(small, 2)
    assert git(small.folder, "rev-parse", "nightly", "nightly^") == f"{made}\n{theirs[0]}"
    assert git(origin.folder, "ls-remote", "origin", "refs/heads/nightly").split()[0] == made


def test_an_origin_with_a_relative_address_is_that_of_the_project(small: Project, origin: Project) -> None:
    git(small.folder, "remote", "set-url", "origin", "../origin.git")
    first, second = published(small, 2), published(small, 3)
    with (
        workspaces.opened(small.folder, "a", silent) as workspace,
        Children(1, workspace.environment) as children,
    ):
        assert children.run(dvc("repro"), workspace.folder, print).code == 0
        publishing.save_experiment(workspace, "made", "a run", ["made"], children, print)
        publishing.push_experiment(workspace.folder, "made", silent)
        assert workspaces.publish(workspace.folder, first, "refs/degrain/runs/a/made") == ""
    there = git(origin.folder, "ls-remote", "origin")
    assert f"{second}\trefs/heads/nightly" in there
    assert f"{first}\trefs/degrain/runs/a/made" in there
    assert re.search(r"refs/exps/.*/made$", there, re.MULTILINE)


def test_an_origin_that_does_not_answer_leaves_the_branch_here(small: Project, origin: Project, tmp_path: Path) -> None:
    (tmp_path / "origin.git").rename(tmp_path / "away.git")
    made = published(small, 2)
    assert git(small.folder, "rev-parse", "nightly") == made


def test_a_branch_with_work_that_the_run_lacks_is_refused_before_anything_runs(small: Project) -> None:
    before = git(small.folder, "rev-parse", "HEAD")
    git(small.folder, "checkout", "-q", "-b", "feature")
    (small.folder / "work.txt").write_text("of a person")
    work = commit(small, "Work")
    git(small.folder, "checkout", "-q", "main")
    with pytest.raises(ParamsError, match=f"feature has commits that {before[:10]} lacks.* such as {work[:5]}"):
        publishing.refuse(small.folder, "feature", "HEAD", silent)
    with workspaces.opened(small.folder, "a", silent) as workspace, pytest.raises(ParamsError, match="lacks"):
        publishing.commit_to(workspace, "feature", "a run", silent)
    assert git(small.folder, "rev-parse", "feature") == work
    git(small.folder, "merge", "-q", "feature")
    publishing.refuse(small.folder, "feature", "HEAD", silent)


def test_a_branch_collects_a_commit_of_each_night(small: Project) -> None:
    def night(number: int) -> str:
        publishing.refuse(small.folder, "nightly", "HEAD", silent)
        with workspaces.opened(small.folder, f"night-{number}", silent) as workspace:
            workspaces.compose(workspace, "", [f"number={number}"])
            return publishing.commit_to(workspace, "nightly", "a run", silent)

    ran = [git(small.folder, "rev-parse", "HEAD")]
    made = [night(2)]
    made.append(night(3))
    (small.folder / "work.txt").write_text("of a person")
    ran.append(commit(small, "Work"))
    made.append(night(4))
    parents = [git(small.folder, "rev-parse", f"{commit}^@").split() for commit in made]
    assert parents == [[ran[0]], [made[0]], [made[1], ran[1]]]
    assert git(small.folder, "show", "nightly:work.txt") == "of a person"
    # A person's change to what a run has published is work, too, even if its message is the run's.
    git(small.folder, "checkout", "-q", "nightly")
    (small.folder / "work.txt").write_text("changed")
    git(small.folder, "commit", "-q", "-a", "--amend", "--no-edit")
    git(small.folder, "checkout", "-q", "main")
    with pytest.raises(ParamsError, match="no run has made"):
        night(5)
