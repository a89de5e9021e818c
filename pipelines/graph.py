"""Reading DVC's graph and what of it is stale; it is written nowhere else."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from degrain.errors import ParamsError, nearest

# Stages that stay with the conductor, whatever their pool: they reach what workers need not have (accounts, the
# registry), and what they leave is small.
LOCAL = ("download", "validate", "register")


class Meta(BaseModel):
    """What a stage of dvc.yaml says in `meta` of how it is run; it decides no result.

    Attributes:
        pool: Work pool of Prefect on whose workers it runs; the conductor runs it itself if empty.
        retries: How often it is tried again after a failure that may pass.
        retry_delay: Seconds before the first of these, twice as many before each further one.
        timeout: Seconds after which it is stopped.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    pool: str = Field("", max_length=100)
    retries: int = Field(1, ge=0, le=100)
    retry_delay: float = Field(10, ge=0, le=86_400)
    timeout: float | None = Field(None, gt=0)


@dataclass(frozen=True)
class Stage:
    """One stage of dvc.yaml.

    Attributes:
        name: As `dvc repro -s` takes it, such as "train@unet".
        needs: Names of the stages whose outputs it takes.
        stale: Whether it or a stage that it needs has changed.
        meta: How it is run.
    """

    name: str
    needs: frozenset[str]
    stale: bool
    meta: Meta

    @property
    def delays(self) -> list[float]:
        """Seconds before each further try."""
        return [self.meta.retry_delay * 2**i for i in range(self.meta.retries)]


def read(folder: Path) -> list[Stage]:
    """Return the stages of a DVC project, each after all that it needs.

    Args:
        folder: The project's folder, with dvc.yaml.

    Raises:
        dvc.exceptions.DvcException: The folder is no DVC project, or dvc.yaml is wrong.
        ParamsError: A stage's `meta` says what it cannot.
    """
    from dvc.repo import Repo

    with Repo(str(folder)) as repo, repo.lock:
        graph = repo.index.graph
        needs = {node.name: [needed.name for needed in graph.successors(node)] for node in graph.nodes}
        order = list(TopologicalSorter(needs).static_order())
        nodes = {node.name: node for node in graph.nodes}
        stages: dict[str, Stage] = {}
        for name in order:
            stale = any(stages[needed].stale for needed in needs[name]) or _changed(nodes[name])
            stages[name] = Stage(name, frozenset(needs[name]), stale, _meta(name, nodes[name].meta or {}))
    return list(stages.values())


def _changed(node: Any) -> bool:
    with node.repo.scm_context(quiet=True):
        return bool(node.changed(allow_missing=False))


def _meta(stage: str, given: Mapping[str, Any]) -> Meta:
    try:
        meta = Meta.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        hint = nearest(key, Meta.model_fields) if first["type"] == "extra_forbidden" else ""
        raise ParamsError(f"dvc.yaml: {stage}: meta.{key}: {first['msg']}{hint}") from None
    if meta.pool and stage in LOCAL:
        raise ParamsError(f"dvc.yaml: {stage}: meta.pool: {', '.join(LOCAL)} stay with the conductor")
    return meta


def chosen(stages: Collection[Stage], targets: Collection[str]) -> list[Stage]:
    """Return the stages that are asked for, with all that they need, in their order; all if none is named.

    Args:
        stages: As of `read`.
        targets: Names; one such as "train" stands for all of its `train@...`.

    Raises:
        ParamsError: There is no such stage.
    """
    known = {stage.name: stage for stage in stages}
    groups = {name.partition("@")[0] for name in known}
    wanted: set[str] = set()
    for target in targets:
        named = {name for name in known if target in (name, name.partition("@")[0])}
        if not named:
            raise ParamsError(f"there is no stage {target!r}{nearest(target, groups | set(known))}")
        wanted |= named
    pending = list(wanted)
    while pending:
        further = known[pending.pop()].needs - wanted
        wanted |= further
        pending += further
    return [stage for stage in stages if not targets or stage.name in wanted]


def beside(stages: Collection[Stage]) -> int:
    """Return how many of these stages can run side by side at most, taking one step of the graph after another."""
    depth: dict[str, int] = {}
    for stage in stages:
        depth[stage.name] = 1 + max((depth.get(name, 0) for name in stage.needs), default=0)
    steps = [depth[stage.name] for stage in stages if stage.stale]
    return max((steps.count(step) for step in set(steps)), default=1)
