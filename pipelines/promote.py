"""The Prefect flow that makes a finished study's best model the champion, once a person has said so in the UI."""

from __future__ import annotations

from typing import Any

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput
from prefect.states import Cancelled, Completed

from degrain.artifacts.metrics import Metrics
from degrain.artifacts.registration import Registration
from degrain.stages import METRICS, REGISTRATION
from pipelines import automations, runs, workspaces
from pipelines.ends import End
from pipelines.processes import Children
from pipelines.workspaces import Workspace

# Seconds for which the question waits.
_WEEK = 7 * 86_400


class Approval(RunInput):
    """What a person answers in the UI."""

    approve: bool = False
    by: str = ""


@flow(name="promote", persist_result=False)
def promote(revision: str) -> Any:
    """Register the best model of a revision, after a person has approved it; the gate of the registry still applies.

    Args:
        revision: A branch, a commit, or the name of a DVC experiment.

    Returns:
        The state Completed, named Promoted or Refused; Cancelled if nobody approves; or Failed with what went wrong.
    """
    log = get_run_logger()
    try:
        project = workspaces.project_folder(None)
        commit = workspaces.resolve(project, revision)
        with workspaces.opened(project, f"{runs.name()}-look", log.info, commit) as workspace:
            _show(workspace, revision, commit)
        # NOTE: the flow ends here, gives its slot back, and begins anew when it is answered.
        answer = suspend_flow_run(wait_for_input=Approval, timeout=_WEEK, key=f"approve-{commit[:12]}")
        if not answer.approve:
            return Cancelled(message=f"{revision} is not approved{f' by {answer.by}' if answer.by else ''}")
        with workspaces.opened(project, runs.name(), log.info, commit) as workspace:
            return _register(workspace, answer.by)
    except runs.EXPECTED as error:
        return runs.failed(error)


def _show(workspace: Workspace, revision: str, commit: str) -> None:
    """Show what there is to approve."""
    champion = Metrics.read(workspace.folder / METRICS).champion
    rows = [f"| {name} | {value} |" for name, value in champion.items() if name != "trial"]
    text = [
        f"`{revision}` (commit {commit[:10]}): **{champion['trial']}**",
        "",
        "| metric | value |",
        "|---|---|",
        *rows,
    ]
    create_markdown_artifact("\n".join(text), key="promotion", description="What is to be approved")


def _register(workspace: Workspace, by: str) -> Any:
    log = get_run_logger()
    with Children(1, workspace.environment) as children:
        workspaces.restore(workspace, children, pull=True)
        children.reproduce("register", workspace.folder, log.info, None)
    made = Registration.read(workspace.folder / REGISTRATION)
    if not made.is_champion:
        return Completed(name=End.REFUSED, message=f"{made.trial} is not promoted: {'; '.join(made.refused)}")
    if made.is_new:
        automations.promoted(made)
    return Completed(
        name=End.PROMOTED,
        message=f"{made.trial} is version {made.version} of {made.model}, approved by {by or 'somebody unnamed'}",
    )
