"""Results out of a workspace: as a DVC experiment, or as a commit on a branch; data and names go on to the remotes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from degrain.errors import OutputError, ParamsError
from pipelines import workspaces
from pipelines.git import ORIGIN, at_origin, git, has_origin
from pipelines.processes import Children, Log, StageFailed, dvc
from pipelines.workspaces import Workspace

# Seconds that a push may take; against a dead server DVC tries for long.
_PUSH_TIMEOUT = 3600.0
# How often a commit is made anew because the branch on the origin has moved.
_TRIES = 5
# A line in the message of each commit that a run has published: git's tree of it, which a commit that a person has
# amended has no longer.
_MARK = "Degrain-Publication"


def save_experiment(
    workspace: Workspace, name: str, message: str, stages: Sequence[str], children: Children, log: Log
) -> str:
    """Bring what the workspace holds back as a DVC experiment, which `dvc exp show` lists.

    Args:
        workspace: Where the stages ran.
        name: Of the experiment.
        message: Of its commit.
        stages: Those that are up to date; DVC would write others down as if they had run.
        children: Runs the command.
        log: Called with its output.

    Returns:
        The name.

    Raises:
        StageFailed: DVC refused.
    """
    # NOTE: DVC leaves out what git does not know yet, such as the metrics of a project's first run.
    git(workspace.folder, "add", "--all")
    # NOTE: DVC keeps no two processes from it.
    with FileLock(workspace.project / workspaces.FOLDER / workspaces.SAVING):
        ended = children.run(
            dvc("exp", "save", "--force", "--name", name, "--message", message, *stages), workspace.folder, log
        )
    if ended.code:
        raise StageFailed(f"the experiment could not be saved: {ended.complaint()}", mistake=False)
    return name


def push_experiment(folder: Path, name: str, log: Log) -> None:
    """Push a DVC experiment to the git remote origin, if there is one."""
    if not has_origin(folder):
        return
    for reference in git(folder, "for-each-ref", "--format=%(refname)", f"refs/exps/*/*/{name}").splitlines():
        try:
            at_origin(folder, "push", "--quiet", ORIGIN, f"{reference}:{reference}")
        except OutputError as error:
            log(f"data is pushed, but {reference} is here only: {error}")


def push(workspace: Workspace, children: Children, log: Log) -> bool:
    """Push data and run-cache to the DVC remote.

    Args:
        workspace: Where the stages ran.
        children: Runs the command.
        log: Called with its output.

    Returns:
        Whether there is a DVC remote; without one nothing is pushed.

    Raises:
        StageFailed: It does not take them.
    """
    if not workspaces.has_remote(workspace.folder):
        return False
    ended = children.run(dvc("push", "--run-cache"), workspace.folder, log, _PUSH_TIMEOUT)
    if ended.code:
        raise StageFailed(f"dvc push: {ended.complaint()}", mistake=False)
    return True


def to_branch(workspace: Workspace, branch: str, message: str, children: Children, log: Log) -> tuple[str, bool]:
    """Commit the workspace to a branch, and push data and branch where there is a DVC remote.

    The branch on the origin goes on from where it is there: nothing that others have pushed is lost.

    Args:
        workspace: Where the stages ran.
        branch: Its name; it is made if it is not there.
        message: Of the commit.
        children: Runs DVC.
        log: Called with what a person should know.

    Returns:
        The commit, and whether data was pushed.

    Raises:
        OutputError: Somebody has the branch checked out, or it moves all the time.
        StageFailed: The DVC remote does not take the data.
    """
    folder, before = workspace.folder, _here(workspace.folder, branch)
    commit = commit_to(workspace, branch, message, log)
    pushed = push(workspace, children, log)
    if not pushed or not has_origin(folder):
        return commit, pushed
    for _ in range(_TRIES):
        try:
            at_origin(folder, "push", "--quiet", ORIGIN, f"{commit}:{_reference(branch)}")
        except OutputError as error:
            there = _there(folder, branch, log)
            if not there or _is_in(folder, there, commit):
                log(f"data is pushed, but the branch {branch} is here only: {error}")
                return commit, pushed
            log(f"the branch {branch} has moved on the origin meanwhile; the commit is made anew")
            commit = commit_to(workspace, branch, message, log, (commit, before))
        else:
            return commit, pushed
    raise OutputError(f"data is pushed, but the branch {branch} moves on the origin all the time; push it by hand")


def commit_to(workspace: Workspace, branch: str, message: str, log: Log, instead: tuple[str, str] = ("", "")) -> str:
    """Commit the workspace's params, lock and metrics to a branch, which is made if it is not there.

    Args:
        workspace: Where the stages ran.
        branch: Its name.
        message: Of the commit.
        log: Called with what a person should know.
        instead: A commit that was made here in vain, and the one on which the branch was before.

    Returns:
        The commit.

    Raises:
        OutputError: Somebody has the branch checked out, or moved it meanwhile.
        ParamsError: The branch has work of others that the commit that ran lacks.
    """
    folder = workspace.folder
    _refuse_checked_out(folder, branch)
    present, here = workspaces.head(folder), _here(folder, branch)
    tips = _independent(folder, [_there(folder, branch, log), instead[1] if here == instead[0] else here])
    _refuse_others(folder, branch, tips, present)
    tree = workspaces.tree(folder)
    if len(tips) == 1 and git(folder, "rev-parse", f"{tips[0]}^{{tree}}") == tree:
        commit = tips[0]
    else:
        message = f"{message}\n\n{_MARK}: {tree}"
        commit = workspaces.snapshot(folder, message, _independent(folder, [*tips, present]))
    git(folder, "update-ref", _reference(branch), commit, here or "0" * 40)
    return commit


def _reference(branch: str) -> str:
    return f"refs/heads/{branch}"


def _here(folder: Path, branch: str) -> str:
    """The commit that a branch is at in this repository, or nothing."""
    return git(folder, "rev-parse", "--quiet", "--verify", _reference(branch), fails=True)


def _there(folder: Path, branch: str, log: Log) -> str:
    """The commit that a branch is at on the origin, which is fetched, or nothing."""
    if not has_origin(folder):
        return ""
    try:
        listed = [line.split("\t") for line in at_origin(folder, "ls-remote", ORIGIN, _reference(branch)).splitlines()]
        if there := "".join(commit for commit, name in listed if name == _reference(branch)):
            # NOTE: what a person has fetched last is not ours to change.
            at_origin(folder, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", ORIGIN, _reference(branch))
    except OutputError as error:
        log(f"the branch {branch} is taken as it is known here, since the origin does not give it: {error}")
        return git(folder, "rev-parse", "--quiet", "--verify", f"refs/remotes/{ORIGIN}/{branch}", fails=True)
    return there


def _refuse_others(folder: Path, branch: str, tips: Sequence[str], present: str) -> None:
    """Refuse a branch that has work which the commit that runs lacks: a run's commit on top of it would revert it.

    Commits that runs have published are no such work. So a branch can collect a commit of each night.

    Raises:
        ParamsError: It has.
    """
    if not tips:
        return
    shown = f"--format=%h %T %(trailers:key={_MARK},valueonly,separator=%x2C) %s"
    for line in git(folder, "log", "--max-count=10000", shown, *tips, "--not", present).splitlines():
        commit, tree, told, *_ = line.split(" ", 3)
        if told != tree:
            raise ParamsError(
                f"publish: the branch {branch} has commits that {present[:10]} lacks and no run has made, such as "
                f"{commit}; publish to another branch, or merge {branch} first and run that"
            )


def refuse(project: Path, branch: str, commit: str, log: Log) -> None:
    """Refuse a branch to which the results of a commit cannot be published, before anything runs.

    Args:
        project: The project's folder.
        branch: Its name.
        commit: That is to run.
        log: Called with what a person should know.

    Raises:
        ParamsError: No branch can have such a name, git does not know who commits, or the branch has work of others
            that the commit lacks.
        OutputError: Somebody has it checked out.
    """
    reference = _reference(branch)
    # NOTE: `check-ref-format --branch` would take "@{-1}" for the branch that was checked out before.
    written = git(project, "check-ref-format", "--normalize", reference, fails=True)
    if written != reference or branch.startswith("-") or branch == "HEAD":
        raise ParamsError(f"publish: {branch!r} is no name of a branch")
    for other in _branches(project):
        if f"{other}/".startswith(f"{branch}/") != f"{branch}/".startswith(f"{other}/"):
            raise ParamsError(f"publish: git has no branch {branch} beside {other}; name another one")
    _refuse_checked_out(project, branch)
    refuse_nobody(project)
    tips = _independent(project, [_there(project, branch, log), _here(project, branch)])
    _refuse_others(project, branch, tips, git(project, "rev-parse", f"{commit}^{{commit}}"))


def refuse_nobody(project: Path) -> None:
    """Refuse to make commits where git does not know whose they are.

    Raises:
        ParamsError: It does not.
    """
    if not all(git(project, "var", f"GIT_{who}_IDENT", fails=True) for who in ("AUTHOR", "COMMITTER")):
        raise ParamsError(
            "git does not know whose commits these are: git config user.name NAME, and user.email ADDRESS"
        )


def _refuse_checked_out(folder: Path, branch: str) -> None:
    if f"branch {_reference(branch)}" in git(folder, "worktree", "list", "--porcelain").splitlines():
        raise OutputError(f"publish: the branch {branch} is checked out somewhere; name another one")


def _branches(project: Path) -> list[str]:
    """All branches here and, if it answers, on the origin."""
    here = git(project, "for-each-ref", "--format=%(refname)", "refs/heads").splitlines()
    there = at_origin(project, "ls-remote", "--heads", ORIGIN, fails=True).splitlines() if has_origin(project) else []
    return sorted({name.rpartition("\t")[2].removeprefix("refs/heads/") for name in [*here, *there]})


def _independent(folder: Path, commits: Sequence[str]) -> list[str]:
    """Commits, in their order, without those that another one contains."""
    named = list(dict.fromkeys(filter(None, commits)))
    kept = git(folder, "merge-base", "--independent", *named).splitlines() if named else []
    return [commit for commit in named if commit in kept]


def _is_in(folder: Path, commit: str, other: str) -> bool:
    """Tell whether a commit contains another one."""
    return git(folder, "merge-base", commit, other, fails=True) == commit
