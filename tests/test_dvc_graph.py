"""dvc.yaml: a stage depends on the code that it runs and on no other, so that a change reruns what it concerns."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from degrain.artifacts.code import Code
from degrain.artifacts.source import AskedFiles
from degrain.ingest.datasets import catalog, downloaded
from degrain.noise.catalog import KINDS
from degrain.patches import preparation
from degrain.provenance import closure
from pipelines import dependencies
from tests.conftest import ROOT, Project
from tests.provenance.mutation import mutated

GRAPH: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def test_a_stage_depends_on_the_code_that_it_runs_and_on_no_other() -> None:
    assert dependencies.differences({"stages": GRAPH}) == []


def test_what_is_missing_or_superfluous_is_named_and_written(tmp_path: Path) -> None:
    path = tmp_path / "dvc.yaml"
    written = (ROOT / "dvc.yaml").read_text()
    path.write_text(written.replace("      - src/degrain/pixels.py\n", "      - src/degrain/cli/doctor.py\n", 1))
    expected = ["download lacks src/degrain/pixels.py", "download does not run src/degrain/cli/doctor.py"]
    assert dependencies.update(path) == expected
    assert path.read_text() == written
    assert dependencies.update(path) == []


@pytest.mark.parametrize("stage", GRAPH)
def test_the_code_that_a_stage_depends_on_covers_its_imports(stage: str) -> None:
    declared = [ROOT / dep for dep in GRAPH[stage]["deps"] if dep.startswith("src/")]
    for path in closure.closure(f"degrain.stages.{stage}").files:
        assert any(path == dep or dep in path.parents for dep in declared), path


RECORDED = [
    *(pytest.param("validate", downloaded.code(spec), id=name) for name, spec in catalog.DATASETS.items()),
    *(pytest.param("prepare", preparation.code(kind.model_construct()), id=kind.__name__) for kind in KINDS),
]


@pytest.mark.parametrize(("stage", "code"), RECORDED)
def test_a_stage_runs_again_when_the_code_changes_that_its_record_names(stage: str, code: Code) -> None:
    """Or `dvc repro` would leave what the next stage refuses."""
    declared = [ROOT / dep for dep in GRAPH[stage]["deps"] if dep.startswith("src/")]
    for path in closure.closure(*code.modules, without=closure.CATALOGS).files:
        assert any(path == dep or dep in path.parents for dep in declared), path


def test_download_runs_again_for_the_parameters_that_its_record_compares() -> None:
    assert GRAPH["download"]["params"] == [f"data.{name}" for name in AskedFiles.model_fields]


def test_the_graph_is_the_seven_stages_in_order() -> None:
    assert list(GRAPH) == ["download", "validate", "prepare", "train", "evaluate", "report", "register"]


@pytest.mark.parametrize(
    ("module", "first"),
    [
        ("params/prepare.py", "download"),
        ("files.py", "download"),
        ("pixels.py", "prepare"),
        ("machine/compute.py", "validate"),
        ("networks/unet.py", "train@unet"),
        ("evaluation/sharpening.py", "evaluate"),
        ("console.py", None),
        ("cli/doctor.py", None),
    ],
)
def test_dvc_sees_a_changed_constant(reproduced: Project, tmp_path: Path, module: str, first: str | None) -> None:
    copy = Project(tmp_path / "copy")
    shutil.copytree(reproduced.folder, copy.folder, symlinks=True)
    path = copy.folder / "src" / "degrain" / module
    path.write_text(mutated(path.read_text()))
    done = copy.run("dvc", "status", "--json")
    assert done.returncode == 0, done.stderr
    changed = yaml.safe_load(done.stdout)
    named = [stage for stage in changed if any(module in str(why) for why in changed[stage])] if changed else []
    everything = {f"src/degrain/{module}", f"src/degrain/{module.rpartition('/')[0]}"}
    concerned = [stage for stage, content in GRAPH.items() if everything & set(content["deps"])]
    assert bool(changed) == (first is not None)
    if first:
        assert first in changed
        assert {stage.partition("@")[0] for stage in changed} >= set(concerned)
    assert named == [] or first
