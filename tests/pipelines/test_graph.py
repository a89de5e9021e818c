"""The graph is DVC's own: its stages, what of them is stale, and how they are to be run."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from degrain.errors import ParamsError
from pipelines import graph
from pipelines.graph import Meta, Stage
from tests.conftest import Project


def with_meta(project: Project, stage: str, **meta: object) -> None:
    path = project.folder / "dvc.yaml"
    described = yaml.safe_load(path.read_text())
    described["stages"][stage]["meta"] = meta
    path.write_text(yaml.safe_dump(described, sort_keys=False))


def test_stages_come_after_what_they_need_wherever_it_is_read_from(copy: Project) -> None:
    stages = {stage.name: stage for stage in graph.read(copy.folder)}
    assert list(stages)[:3] == ["download", "validate", "prepare"]
    assert stages["train@unet"].needs == {"prepare"}
    assert stages["evaluate"].needs == {"validate", "prepare", "train@sinha2018", "train@unet"}
    assert list(stages)[-1] == "register"
    assert not any(stage.stale for stage in stages.values())


def test_what_depends_on_a_change_is_stale_and_nothing_else(copy: Project) -> None:
    copy.change(evaluate={"baselines": []})
    assert {stage.name for stage in graph.read(copy.folder) if stage.stale} == {"evaluate", "report", "register"}
    (copy.folder / "data/validated/manifest.parquet").unlink()
    stale = {stage.name for stage in graph.read(copy.folder) if stage.stale}
    assert stale == {stage.name for stage in graph.read(copy.folder)} - {"download"}


def test_meta_says_how_a_stage_is_run(copy: Project) -> None:
    with_meta(copy, "prepare", retries=3, retry_delay=5, timeout=60, pool="cpu")
    (prepare,) = [stage for stage in graph.read(copy.folder) if stage.name == "prepare"]
    assert prepare.meta == Meta(pool="cpu", retries=3, retry_delay=5, timeout=60)
    assert prepare.delays == [5, 10, 20]


@pytest.mark.parametrize(
    ("meta", "words"),
    [
        ({"retry": 3}, "meta.retry: .*; did you mean 'retries'"),
        ({"retries": -1}, "meta.retries: "),
        ({"timeout": 0}, "meta.timeout: "),
        ({"pool": 3}, "meta.pool: "),
        ({"pool": "cpu"}, "meta.pool: download, validate, register stay with the conductor"),
    ],
)
def test_meta_that_nobody_understands_is_refused(copy: Project, meta: dict[str, object], words: str) -> None:
    with_meta(copy, "download", **meta)
    with pytest.raises(ParamsError, match=f"dvc.yaml: download: {words}"):
        graph.read(copy.folder)


def stages(**needs: list[str]) -> list[Stage]:
    return [Stage(name, frozenset(needed), True, Meta()) for name, needed in needs.items()]


def test_targets_bring_what_they_need() -> None:
    made = stages(a=[], b=["a"], c=["a"], d=["b", "c"])
    made.append(Stage("train@x", frozenset({"b"}), True, Meta()))
    assert [stage.name for stage in graph.chosen(made, ["c"])] == ["a", "c"]
    assert [stage.name for stage in graph.chosen(made, ["train"])] == ["a", "b", "train@x"]
    assert graph.chosen(made, []) == made
    with pytest.raises(ParamsError, match="there is no stage 'trian'; did you mean 'train'"):
        graph.chosen(made, ["trian"])


def test_how_many_stages_can_run_side_by_side_is_counted() -> None:
    assert graph.beside(stages(a=[], b=["a"], c=["a"], d=["b", "c"])) == 2
    assert graph.beside(stages(a=[], b=["a"])) == 1
    assert graph.beside([]) == 1


def test_a_folder_without_a_graph_is_an_error(tmp_path: Path) -> None:
    from dvc.exceptions import DvcException

    with pytest.raises(DvcException):
        graph.read(tmp_path)
