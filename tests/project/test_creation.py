"""`degrain init`: what it writes, what it leaves alone, what it refuses."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from degrain.params.study import load_params
from degrain.project import code, creation, graph
from degrain.project.creation import KINDS, Created
from degrain.studies import gallery
from tests.conftest import ROOT
from tests.test_cli import assert_one_line, degrain_here


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def contents(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file() and ".git" not in path.relative_to(folder).parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_a_new_folder_becomes_a_project_whose_files_git_has(made_once: Created, images: Path) -> None:
    assert made_once.left == made_once.notes == []
    assert (
        set(made_once.written)
        == set(contents(made_once.folder))
        == set(git(made_once.folder, "ls-files", "-z").split("\0")) - {""}
    )
    assert git(made_once.folder, "status", "--porcelain") == ""
    params = load_params(made_once.folder / "params.yaml")
    assert (params.study.name, params.data.path) == ("folder", str(images))


def test_params_are_those_that_dvc_would_compose_without_a_word(made_once: Created) -> None:
    found = yaml.safe_load((made_once.folder / "params.yaml").read_text())
    default = yaml.safe_load((made_once.folder / "conf" / "config.yaml").read_text())["defaults"][-1]["study"]
    assert found == gallery.compose(default, made_once.folder / "conf")


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_images_has_its_study(tmp_path: Path, images: Path, kind: str) -> None:
    creation.create(tmp_path / kind, kind, images)
    params = load_params(tmp_path / kind / "params.yaml")
    assert (params.study.name, params.data.path) == (KINDS[kind].study, str(images))
    shipped = gallery.compose(KINDS[kind].study, ROOT / "conf", [f"data.path='{images}'"])
    assert gallery.compose(KINDS[kind].study, tmp_path / kind / "conf") == shipped


def test_images_in_the_project_are_named_relative_to_it(tmp_path: Path, images: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(images, folder / "images")
    creation.create(folder, "only-noisy", folder / "images")
    assert load_params(folder / "params.yaml").data.path == "images"


@pytest.mark.parametrize("name", ['a "b" # c: d', "${data.seed}", "null"])
def test_images_may_have_any_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    creation.create(tmp_path / "project", "photos", tmp_path / name)
    assert load_params(tmp_path / "project" / "params.yaml").data.path == str(tmp_path / name)


def test_the_readme_asks_for_the_images_where_none_are_named(tmp_path: Path) -> None:
    done = degrain_here(tmp_path, "init", "my project", "--kind", "pairs")
    assert done.returncode == 0, done.stderr
    assert "next: cd 'my project' && degrain check -S study=pairs && dvc exp run" in done.stderr
    told = (tmp_path / "my project" / "README.md").read_text()
    assert "First write where your images are into `conf/study/pairs.yaml`, as `path`." in told
    assert 'path: ""' in (tmp_path / "my project" / "conf" / "study" / "pairs.yaml").read_text()


def test_nothing_that_is_there_is_overwritten(tmp_path: Path, images: Path) -> None:
    folder = tmp_path / "project"
    own = {"README.md": b"mine", ".gitignore": b"mine", "conf/study/pairs.yaml": b"mine", "notes/a.txt": b"mine"}
    for name, content in own.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "dvc.yaml").symlink_to("elsewhere")
    made = creation.create(folder, "photos", images)
    assert set(made.left) == {"README.md", ".gitignore", "conf/study/pairs.yaml", "dvc.yaml"}
    assert {name: contents(folder)[name] for name in own} == own
    assert not (folder / "elsewhere").exists()
    assert set(git(folder, "ls-files").splitlines()) == set(made.written), "files that were there are not committed"


def test_images_are_not_written_into_a_study_that_was_there(project: Path, tmp_path: Path) -> None:
    (note,) = [line for line in creation.create(project, "photos", tmp_path).notes if "data.path" in line]
    assert note == f'conf/study/folder.yaml was there already: write data.path: "{tmp_path}" into it yourself'


def test_twice_changes_nothing_and_what_is_missing_is_completed(
    project: Path, made_once: Created, images: Path
) -> None:
    before = contents(project)
    again = creation.create(project, "photos", images)
    assert (again.written, set(again.left)) == ([], set(made_once.written))
    (project / "code.yaml").unlink()
    assert creation.create(project, "photos", images).written == ["code.yaml"]
    assert contents(project) == before


def test_a_git_repository_that_was_there_gets_no_commit(tmp_path: Path, images: Path) -> None:
    git(tmp_path, "init", "-q", "project")
    made = creation.create(tmp_path / "project", "photos", images)
    assert made.notes == ["nothing was committed to the git repository that was there; what is new is yours to commit"]
    assert git(made.folder, "ls-files") == ""
    assert git(made.folder, "rev-list", "--all") == ""


def test_inside_of_another_git_repository_it_has_its_own(tmp_path: Path, images: Path) -> None:
    git(tmp_path, "init", "-q")
    made = creation.create(tmp_path / "a" / "project", "photos", images)
    (note,) = made.notes
    assert f"a git repository of its own inside of {tmp_path}" in note
    assert Path(git(made.folder, "rev-parse", "--show-toplevel").strip()) == made.folder


def test_files_of_another_git_repository_are_refused(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "a.txt").touch()
    git(tmp_path, "add", ".")
    done = degrain_here(tmp_path, "init", "project")
    assert_one_line(done, f"project belongs to the git repository {tmp_path}, which tracks files in it")
    assert set(contents(tmp_path / "project")) == {"a.txt"}


def test_without_a_name_for_git_nothing_is_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nobody").write_text("[user]\n    useConfigOnly = true\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "nobody"))
    made = creation.create(tmp_path / "project", "photos")
    (note,) = made.notes
    assert note.startswith("nothing is committed yet (")
    assert git(made.folder, "diff", "--cached", "--name-only").splitlines() == sorted(made.written)


def test_settings_of_dvc_that_were_there_are_told_what_they_lack(tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").write_text("[core]\n    remote = team\n['remote \"team\"']\n    url = /there\n")
    assert (
        ".dvc/config was there already; for dvc exp run: dvc config hydra.enabled true"
        in creation.create(tmp_path, "photos").notes
    )
    (tmp_path / ".dvc" / "config").write_text("[hydra]\n    enabled = True\n")
    assert not creation.create(tmp_path, "photos").notes[1:]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a file"], "a file is a file; name a folder"),
        (["a file/project"], "cannot write a file/project/README.md: Not a directory"),
        (["/proc/project"], "cannot write /proc/project"),
        ([str(ROOT)], "is a clone of degrain, which has all that a project has"),
        (
            ["project", "--kind", "photo"],
            "--kind: 'photo' is not photos, pairs, raw, only-noisy; did you mean 'photos'?",
        ),
        (["project", "--images", "gone"], "--images: gone is no folder"),
        (["project", "--images", "a file"], "--images: a file is no folder"),
    ],
)
def test_what_cannot_be_a_project_is_one_line(tmp_path: Path, arguments: list[str], words: str) -> None:
    (tmp_path / "a file").touch()
    assert_one_line(degrain_here(tmp_path, "init", *arguments), words)
    assert set(contents(tmp_path)) == {"a file"}


def test_without_git_it_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert_one_line(degrain_here(tmp_path, "init", "project"), "git is not installed; install it")
    assert contents(tmp_path) == {}


def test_the_graph_is_that_of_the_clone_with_code_in_place_of_its_files() -> None:
    clone: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())
    project: dict[str, Any] = yaml.safe_load(graph.text())
    for name, stage in clone["stages"].items():
        stage["cmd"] = stage["cmd"].replace("PYTHONPATH=src degrain", "degrain")
        deps = [dep for dep in stage.pop("deps") if not dep.startswith("src/")]
        stage.update({"deps": deps} if deps else {}, params=[{"code.yaml": [name]}, *stage["params"]])
    assert project == clone
    assert "src" not in graph.text()


def test_each_stage_has_its_code(made_once: Created) -> None:
    found = yaml.safe_load((made_once.folder / "code.yaml").read_text())
    assert list(found) == ["degrain", *yaml.safe_load(graph.text())["stages"]]
    assert len(set(found.values())) == len(found)
    assert found == code.read(made_once.folder)


def test_git_ignores_what_dvc_tracks(made_once: Created) -> None:
    kept, tracked = set(), set()
    for stage in yaml.safe_load(graph.text())["stages"].values():
        for out in [*stage.get("outs", []), *stage.get("metrics", []), *stage.get("plots", [])]:
            path, options = next(iter(out.items())) if isinstance(out, dict) else (out, {})
            path = path.replace("${data.dataset}", "folder").replace("${item.model}", "unet")
            (kept if options.get("cache") is False and path.endswith("metrics.json") else tracked).add(path)
    asked = sorted(kept | tracked)
    ignored = subprocess.run(
        ["git", "check-ignore", *asked], check=False, cwd=made_once.folder, capture_output=True, text=True
    )
    assert set(ignored.stdout.splitlines()) == tracked
    assert kept == {"results/metrics.json"}


def test_the_flow_comes_when_it_is_asked_for(project: Path, images: Path) -> None:
    again = creation.create(project, "photos", images, prefect=True)
    assert {"pipelines/reproduce.py", "pipelines/__init__.py", "prefect.yaml"} <= set(again.written)
    assert "pipelines/dependencies.py" not in again.written
    for name in again.written:
        assert (project / name).read_bytes() == (ROOT / name).read_bytes()


def test_what_an_own_gitignore_leaves_out_is_told(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("conf/\n")
    (note,) = creation.create(tmp_path, "photos").notes
    assert note.startswith("nothing is committed yet (")
