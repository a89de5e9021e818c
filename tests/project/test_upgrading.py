"""`degrain upgrade`, and stages whose code is another than code.yaml says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from degrain.project import code, creation, graph
from tests.conftest import ROOT
from tests.project.test_creation import contents, git
from tests.test_cli import assert_one_line, degrain_here


def of_older_code(project: Path) -> None:
    """Have a project be one of an older degrain, whose train and evaluate were others."""
    path = project / "code.yaml"
    older = re.sub(r'(train|evaluate): "\w+"', r'\1: "0000"', path.read_text()).replace('degrain: "', 'degrain: "0.0.')
    path.write_text(older)


def test_what_is_up_to_date_is_left_alone(project: Path) -> None:
    before = contents(project)
    for options in ([], ["--check"]):
        done = degrain_here(project, "upgrade", *options)
        assert (done.returncode, done.stderr) == (0, "up to date with degrain 0.1.0\n")
    assert contents(project) == before


def test_older_code_is_told_and_written(project: Path) -> None:
    wanted = (project / "code.yaml").read_text()
    of_older_code(project)
    before = contents(project)
    checked = degrain_here(project, "upgrade", "--check")
    assert checked.returncode == 1
    assert contents(project) == before
    done = degrain_here(project, "upgrade")
    assert done.returncode == 0
    assert (
        done.stderr
        == checked.stderr
        == (
            "code.yaml: from 0.0.0.1.0 to 0.1.0\n"
            "code.yaml: train, evaluate: the code is another, and dvc repro runs it again\n"
        )
    )
    assert (project / "code.yaml").read_text() == wanted


def test_a_stage_of_other_code_is_refused(project: Path) -> None:
    of_older_code(project)
    words = (
        "degrain 0.1.0 computes {} otherwise than code.yaml says; run: degrain upgrade, or install degrain 0.0.0.1.0"
    )
    assert_one_line(degrain_here(project, "train", "--model", "unet"), words.format("train"))
    assert_one_line(degrain_here(project, "check"), words.format("train, evaluate"))
    assert_one_line(degrain_here(project, "prepare"), "data/validated/validation.json is missing")


@pytest.mark.parametrize("content", ["download: [a", "a list", "- a", "train: 1", "train: a\ntrain: b", "\xff"])
def test_damaged_code_is_one_line(project: Path, content: str) -> None:
    (project / "code.yaml").write_bytes(content.encode("latin-1"))
    assert_one_line(degrain_here(project, "train", "--model", "unet"), "code.yaml")
    assert_one_line(degrain_here(project, "upgrade"), "remove it, and run: degrain upgrade")


def test_what_is_the_projects_own_stays(project: Path) -> None:
    path = project / "dvc.yaml"
    text = path.read_text()
    changed = (
        text.replace("pool: gpu", "pool: big\n      retries: 3")
        .replace("          - train\n", "          - old\n")
        .replace("cmd: degrain evaluate", "cmd: echo mine")
        .replace(
            "# `dvc art", "  mine:\n    cmd: echo mine > mine.txt # because\n    outs:\n      - mine.txt\n\n# `dvc art"
        )
        .replace("\nplots:\n", "\n  mine:\n    path: mine.txt\n\nplots:\n  - mine.csv:\n      x: a\n")
    )
    changed += "metrics:\n  - mine.json\n"
    wanted = yaml.safe_load(text)
    wanted["stages"]["train"]["meta"] = {"pool": "big", "retries": 3}
    path.write_text(changed)
    git(project, "commit", "-qam", "mine")
    done = degrain_here(project, "upgrade")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [
        "dvc.yaml: params of the stage train",
        "dvc.yaml: cmd of the stage evaluate",
    ]
    found = yaml.safe_load(path.read_text())
    assert found["stages"].pop("mine") == {"cmd": "echo mine > mine.txt", "outs": ["mine.txt"]}
    assert found["artifacts"].pop("mine") == {"path": "mine.txt"}
    assert found.pop("metrics") == ["mine.json"]
    assert found["plots"].pop() == {"mine.csv": {"x": "a"}}
    assert found == wanted
    assert "# because" in path.read_text()
    assert degrain_here(project, "upgrade").stderr == "up to date with degrain 0.1.0\n"


def test_a_graph_that_was_there_gets_the_stages(project: Path) -> None:
    path = project / "dvc.yaml"
    path.write_text("stages:\n  mine:\n    cmd: echo\n")
    git(project, "commit", "-qam", "mine")
    assert "dvc.yaml: the stage register is new" in degrain_here(project, "upgrade").stderr
    assert list(yaml.safe_load(path.read_text())["stages"]) == [*graph.stages(), "mine"]


def test_changes_that_git_does_not_have_are_not_overwritten(project: Path) -> None:
    path = project / "dvc.yaml"
    path.write_text(path.read_text().replace("cmd: degrain evaluate", "cmd: echo mine"))
    of_older_code(project)
    before = contents(project)
    assert_one_line(degrain_here(project, "upgrade"), "dvc.yaml holds changes that are not committed; commit them")
    assert contents(project) == before


def test_the_flow_is_brought_up_to_date_where_it_is(project: Path) -> None:
    creation.create(project, "photos", prefect=True)
    (project / "pipelines" / "graph.py").write_text("# old\n")
    (project / "pipelines" / "runs.py").unlink()
    (project / "prefect.yaml").write_text("deployments: []\n")
    git(project, "add", "-A")
    git(project, "commit", "-qm", "old")
    done = degrain_here(project, "upgrade")
    assert done.stderr.splitlines() == ["pipelines/graph.py: another", "pipelines/runs.py: new"]
    assert (project / "pipelines" / "graph.py").read_bytes() == (ROOT / "pipelines" / "graph.py").read_bytes()
    assert (project / "prefect.yaml").read_text() == "deployments: []\n", "schedules are the project's own"


def test_only_a_project_is_upgraded(tmp_path: Path) -> None:
    assert_one_line(degrain_here(tmp_path, "upgrade"), "holds no dvc.yaml; degrain init makes a project")
    assert_one_line(degrain_here(ROOT, "upgrade"), "this is a clone of degrain: git pull, and python -m")
    (tmp_path / "dvc.yaml").write_text("- no graph\n")
    assert_one_line(degrain_here(tmp_path, "upgrade"), "dvc.yaml is no graph of DVC")
    (tmp_path / "dvc.yaml").write_text("stages: {")
    assert_one_line(degrain_here(tmp_path, "upgrade"), "dvc.yaml is no valid YAML")


def test_a_clone_has_no_digests_to_agree_with() -> None:
    assert code.read(ROOT) == {}
    code.require(ROOT)
