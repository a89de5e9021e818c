"""The Prefect flow that runs DVC's graph: a task per stage, with retries, and artifacts for the Prefect UI.

    python -m pipelines.reproduce              all stages, one at a time
    python -m pipelines.reproduce --jobs 3     stages that do not need each other side by side

Without PREFECT_API_URL it runs on a server of its own that ends with it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from dvc.exceptions import DvcException
from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect.task_runners import ThreadPoolTaskRunner

from degrain import files
from degrain.artifacts.registration import Registration
from degrain.errors import DegrainError, printable
from degrain.stages import METRICS, REGISTRATION, REPORT
from pipelines import graph
from pipelines.processes import Children, StageFailed


@dataclass(frozen=True)
class Outcome:
    """What became of a stage: whether it ran (or had not changed), and how long that took, in seconds."""

    stage: str
    ran: bool
    seconds: float


def _worth_retrying(_task: Any, _run: Any, state: Any) -> bool:
    try:
        state.result()
    except StageFailed as failure:
        return not failure.mistake
    except Exception:  # a stage may fail in ways that only another try can tell
        return True
    return False


@task(task_run_name="{stage.name}", retry_condition_fn=_worth_retrying, cache_policy=NO_CACHE)
def run_stage(stage: graph.Stage, folder: Path, children: Children) -> Outcome:
    """Run one stage if anything that it depends on has changed."""
    log = get_run_logger()
    started = time.monotonic()
    ran = children.reproduce(stage.name, folder, log.info, stage.meta.timeout)
    return Outcome(stage.name, ran, time.monotonic() - started)


@flow(name="reproduce", task_runner=ThreadPoolTaskRunner())  # type: ignore[arg-type]
def reproduce(folder: Path = Path(), jobs: int = 1) -> list[Outcome]:
    """Reproduce the study in params.yaml.

    Args:
        folder: The project's folder, with dvc.yaml.
        jobs: How many stages may run side by side.

    Returns:
        What became of each stage, in the order of the graph.

    Raises:
        StageFailed: A stage failed; stages that need it did not run.
    """
    futures: dict[str, PrefectFuture[Outcome]] = {}
    with Children(jobs) as children:
        for stage in graph.read(folder):
            submit: Any = run_stage.with_options(retries=stage.meta.retries, retry_delay_seconds=stage.delays).submit
            needed = [futures[name] for name in stage.needs]
            futures[stage.name] = submit(stage, folder, children, wait_for=needed)
        # NOTE: all are awaited before the first failure is raised, so that stages that do not need it still end.
        for future in futures.values():
            future.wait()
        outcomes = [future.result() for future in futures.values()]
    _publish(folder, outcomes)
    return outcomes


def _publish(folder: Path, outcomes: list[Outcome]) -> None:
    """Leave artifacts in the Prefect UI: what was done, and how the methods compare."""
    metrics = files.read_json(folder / METRICS)
    registration = Registration.read(folder / REGISTRATION)
    champion = metrics["champion"]
    lines = [
        f"Best: **{champion['trial']}**, {champion['photograph_psnr']:.2f} dB on the held-out photographs "
        f"(noisy input {metrics['identity']['photograph_psnr']:.2f} dB).",
        "",
        f"Registry: {registration.model}, "
        + (f"version {registration.version}" if registration.champion else "; ".join(registration.refused)),
        f"Report: `{(folder / REPORT).resolve()}`",
        "",
        "| stage | | seconds |",
        "|---|---|---|",
        *(f"| {o.stage} | {'ran' if o.ran else 'unchanged'} | {o.seconds:.1f} |" for o in outcomes),
    ]
    create_markdown_artifact("\n".join(lines), key="reproduce-summary", description="What the run did")
    rows = [("noisy input", metrics["identity"]), *metrics["baselines"].items(), *metrics["trials"].items()]
    ranked = sorted(rows, key=lambda row: -float(row[1]["val_psnr"]))
    create_table_artifact(
        [{"method": name, **values} for name, values in ranked], key="ranking", description="PSNR in dB, best first"
    )


def main(
    folder: Annotated[Path, typer.Option(help="The project's folder, with dvc.yaml.")] = Path(),
    jobs: Annotated[int, typer.Option(min=1, help="How many stages may run side by side.")] = 1,
) -> None:
    """Run DVC's graph as a Prefect flow.

    Example: `python -m pipelines.reproduce --jobs 3`
    """
    if not (folder / "dvc.yaml").is_file():
        raise typer.BadParameter(f"{folder} holds no dvc.yaml", param_hint="--folder")
    try:
        reproduce(folder, jobs)
    except StageFailed as failure:
        typer.echo(f"reproduce: {printable(str(failure))}", err=True)
        raise typer.Exit(2 if failure.mistake else 1) from None
    except (DegrainError, DvcException) as error:
        typer.echo(f"reproduce: {printable(str(error))}", err=True)
        raise typer.Exit(2) from None


if __name__ == "__main__":
    typer.run(main)
