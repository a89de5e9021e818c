"""Reading DVC's graph; it is written nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path


@dataclass(frozen=True)
class Stage:
    """One stage of dvc.yaml.

    Attributes:
        name: As `dvc repro -s` takes it, such as "train@unet".
        needs: Names of the stages whose outputs it takes.
        retries: How often to try again after a failure: `meta.retries` in dvc.yaml, or 1.
        timeout: Seconds after which it is stopped: `meta.timeout`, or None.
    """

    name: str
    needs: frozenset[str]
    retries: int
    timeout: float | None


def read(folder: Path) -> list[Stage]:
    """Return the stages of a DVC project, each after all that it needs.

    Args:
        folder: The project's folder, with dvc.yaml.

    Raises:
        dvc.exceptions.DvcException: The folder is no DVC project, or dvc.yaml is wrong.
    """
    from dvc.repo import Repo

    with Repo(str(folder)) as repo:
        graph = repo.index.graph
        stages = {
            node.name: Stage(
                name=node.name,
                needs=frozenset(needed.name for needed in graph.successors(node)),
                retries=int((node.meta or {}).get("retries", 1)),
                timeout=(node.meta or {}).get("timeout"),
            )
            for node in graph.nodes
        }
    order = TopologicalSorter({name: stage.needs for name, stage in stages.items()}).static_order()
    return [stages[name] for name in order]
