"""The Prefect flow that looks whether a data set has changed where it is published, and reports the drift.

    python -m pipelines.refresh mnist

Nothing is trained on what came: it is validated in a workspace of its own and goes to a branch, for a person to merge.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer
from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.events import emit_event
from prefect.states import Completed

from degrain import files
from degrain.errors import DataError
from degrain.ingest import upstream
from degrain.ingest.datasets import catalog, drift
from degrain.ingest.datasets.manifest import MANIFEST
from degrain.ingest.fetching.retries import PATIENT
from degrain.machine import variables
from degrain.params.study import load_params
from degrain.stages import CHECKSUMS, PARAMS, VALIDATED
from pipelines import automations, by_hand, publishing, runs, workspaces
from pipelines.ends import End
from pipelines.processes import Children, StageFailed, dvc
from pipelines.workspaces import Workspace

# What publishers said when the flow looked last.
SEEN = Path("upstream.json")


@flow(name="refresh", persist_result=False)
def refresh(study: str = "", force: bool = False) -> Any:
    """Look whether a study's data set has changed upstream; if so, download and validate it, and report the drift.

    Args:
        study: A file of conf/study; params.yaml as it is committed if empty.
        force: Download and compare even if publishers say that nothing has changed.

    Returns:
        The state Completed, named Unchanged, Same or Drift, with one line; or Failed with what went wrong.
    """
    log = get_run_logger()
    try:
        project = workspaces.project_folder(None)
        with workspaces.opened(project, runs.name(), log.info) as workspace:
            workspaces.compose(workspace, study, [])
            return _refresh(workspace, force)
    except runs.EXPECTED as error:
        return runs.failed(error)


def _refresh(workspace: Workspace, force: bool) -> Any:
    params = load_params(workspace.folder / PARAMS)
    name = params.data.dataset
    marks = upstream.marks(catalog.spec(name).files, variables.mirror(), PATIENT)
    seen = _seen(workspace)
    if any(f"{name}/{file}" not in seen for file in marks):
        # NOTE: what is in use was downloaded some time ago; nobody knows what publishers said of it then.
        get_run_logger().info(f"{name}: looked at for the first time here, so it is fetched and compared")
    elif not force and all(seen[f"{name}/{file}"] == mark for file, mark in marks.items()):
        told = f"{name}: nothing has changed upstream"
        get_run_logger().info(told)
        return Completed(name=End.UNCHANGED, message=told)
    branch = f"refresh-{name}"
    publishing.refuse(workspace.folder, branch, "HEAD", get_run_logger().info)
    with Children(1, workspace.environment | _afresh(workspace)) as children:
        before = _manifest(workspace, children)
        _forget_checksums(workspace, name)
        _stage(children, workspace, "download", "--force")
        _stage(children, workspace, "validate")
    found = drift.compare(before, pd.read_parquet(workspace.folder / VALIDATED / MANIFEST))
    create_markdown_artifact(found.markdown(), key=f"drift-{name.replace('_', '-')}", description=found.told())
    if found.is_none:
        _remember(workspace, name, seen, marks)
        return Completed(name=End.SAME, message=found.told())
    message = f"Take {name} as it is published now: {found.told()}"
    with Children(1, workspace.environment) as children:
        commit, _ = publishing.to_branch(workspace, branch, message, children, get_run_logger().info)
    _remember(workspace, name, seen, marks)
    told = f"{name}: {found.told()}; commit {commit[:10]} on the branch {branch} has it, merge it to train on it"
    emit_event(
        event=automations.DRIFTED,
        resource={"prefect.resource.id": f"degrain.dataset.{name}", "prefect.resource.name": name},
        payload={"told": told},
    )
    return Completed(name=End.DRIFT, message=told)


def _afresh(workspace: Workspace) -> dict[str, str]:
    """Finished downloads are the old ones, so these go elsewhere."""
    return {"DEGRAIN_HOME": str(workspace.folder / ".degrain")}


def _manifest(workspace: Workspace, children: Children) -> pd.DataFrame:
    """The manifest of what the project uses at present."""
    workspaces.restore(workspace, children)
    path = workspace.folder / VALIDATED / MANIFEST
    if not path.exists():
        for stage in ("download", "validate"):
            _stage(children, workspace, stage)
    return pd.read_parquet(path)


def _stage(children: Children, workspace: Workspace, stage: str, *options: str) -> None:
    log = get_run_logger()
    ended = children.run(dvc("repro", "--single-item", *options, stage), workspace.folder, log.info)
    if ended.code:
        raise StageFailed(f"{stage}: {ended.complaint()}", mistake=True)


def _forget_checksums(workspace: Workspace, dataset: str) -> None:
    """Take the new files as they are: what they were the first time is what is in question."""
    path = workspace.folder / CHECKSUMS
    if path.exists():
        kept = {key: value for key, value in files.read_json(path).items() if not key.startswith(f"{dataset}/")}
        files.write_json(path, kept)


def _place(workspace: Workspace) -> Path:
    return workspace.home / "downloads" / SEEN


def _seen(workspace: Workspace) -> dict[str, str]:
    try:
        return {str(key): str(value) for key, value in files.read_json(_place(workspace)).items()}
    except (DataError, AttributeError):
        return {}


def _remember(workspace: Workspace, dataset: str, seen: Mapping[str, str], marks: Mapping[str, str]) -> None:
    files.write_json(_place(workspace), {**seen, **{f"{dataset}/{file}": mark for file, mark in marks.items()}})


def main(
    study: Annotated[str, typer.Argument(help="A file of conf/study; params.yaml as committed if not given.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Even if publishers say that nothing has changed.")] = False,
    folder: Annotated[Path | None, typer.Option(help="The project's folder, with dvc.yaml.")] = None,
) -> None:
    """Look whether a data set has changed where it is published; if so, validate it and report the drift.

    Example: `python -m pipelines.refresh mnist`
    """
    by_hand.run_flow(refresh, folder, study, force)


if __name__ == "__main__":
    typer.run(main)
