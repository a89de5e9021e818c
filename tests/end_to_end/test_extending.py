"""docs/extending.md, followed in a copy of the project: a study runs with everything that the page adds."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import Any

import pandas as pd
import pytest

from tests.conftest import ROOT, Project, clone, merged

PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
FILE = re.compile(r'```python title="([^"]+)"\n(.*?)```', re.DOTALL)
CHANGE = re.compile(r"```diff\n(.*?)```", re.DOTALL)
SECTIONS = {section.partition("\n")[0]: section for section in PAGE.split("\n## ")[2:]}

STUDY: dict[str, Any] = {
    "train": {
        "models": ["shallow"],
        "optimizers": ["radam"],
        "losses": ["relative", {"name": "sum", "label": "both", "terms": [{"name": "relative"}, {"name": "mae"}]}],
    },
    "evaluate": {"baselines": ["gaussian", "box"], "sharpen": False},
}


def test_each_addition_touches_two_files() -> None:
    assert set(SECTIONS) == {"Noise", "Networks", "Losses", "Optimizers", "Metrics", "Baselines"}
    for section in SECTIONS.values():
        assert len(FILE.findall(section)) == 1
        (change,) = CHANGE.findall(section)
        assert change.count("\n+++ ") == 1


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory, tiny: dict[str, Any]) -> Project:
    """A copy of the project that has followed the page."""
    study = merged(tiny, STUDY)
    study["prepare"] = study["prepare"] | {"noise": {"kind": "uniform", "width": [10, 60]}}
    project = clone(tmp_path_factory.mktemp("extended"), study)
    for name, text in FILE.findall(PAGE):
        path = project.folder / name
        assert not path.exists()
        path.write_text(text)
    # What mypy knows of the files that are the same, where it has run.
    if (known := ROOT / ".mypy_cache").is_dir():
        shutil.copytree(known, project.folder / known.name)
    for change in CHANGE.findall(PAGE):
        subprocess.run(["git", "apply", "-"], cwd=project.folder, input=change, text=True, check=True)
    return project


@pytest.mark.slow
def test_a_study_runs_with_all_of_them(extended: Project) -> None:
    own = {"PYTHONPATH": str(extended.folder / "src")}
    for command in (
        ("python", "-m", "pipelines.dependencies", "--write"),
        ("degrain", "check"),
        ("ruff", "check", "src"),
        ("ruff", "format", "--check", "src"),
        ("mypy",),
        ("dvc", "repro"),
    ):
        done = extended.run(*command, **own)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    assert "uniform" in extended.run("degrain", "params", **own).stdout
    scores = pd.read_parquet(extended.folder / "data" / "evaluated" / "scores.parquet")
    trials = {"shallow-radam-relative", "shallow-radam-both"}
    assert {"identity", "gaussian", "box", *trials} == set(scores["method"])
    assert {"psnr", "ssim", "mae"} == set(scores["metric"])
    metrics = json.loads(extended.read("results/metrics.json"))
    assert set(metrics["trials"]) == trials
    for means in (metrics["identity"], *metrics["baselines"].values(), *metrics["trials"].values()):
        assert 0 < means["test_mae"] < 0.2
    text = extended.read("results/report.html").decode()
    for words in ("MAE", "Three convolutions", "Box filter", "uniform, width 10.0 to 60.0"):
        assert words in text


def test_the_page_names_files_that_exist() -> None:
    for name in re.findall(r"`((?:tests|optimizers|evaluation)/[\w/]+\.py)`", PAGE):
        assert (ROOT / name).is_file() or (ROOT / "src" / "degrain" / name).is_file(), name
