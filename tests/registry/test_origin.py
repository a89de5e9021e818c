"""A registered version carries what made it, and nothing that was changed since is believed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml

from degrain import files
from degrain.artifacts.source import Source
from degrain.errors import RegistryError
from degrain.params.data import DataParams
from degrain.params.study import Params, parsed
from degrain.registry import aliases, origin, publishing, tags, tracking
from tests.artifacts import records

MADE_OF = {"params.yaml": b"data: {dataset: photos}\n", "dvc.lock": b"stages: {}\n"}


pytestmark = pytest.mark.usefixtures("project")


def registered(client: Any, made_of: dict[str, bytes], **tagged: str) -> Any:
    folder = Path("model")
    made = records.model(folder, "weights")
    run = client.create_run(tracking.experiment(client, "tiny")).info.run_id
    source = publishing.log_model(client, run, folder, made, made_of)
    wanted = records.version_tags(made, folder) | {tags.ORIGIN: files.contents_digest(made_of)} | tagged
    return aliases.register(client, "tiny", source, run, wanted)


def folder_of(client: Any, version: Any) -> Path:
    uri = client.get_run(version.run_id).info.artifact_uri
    return Path(unquote(urlsplit(uri).path)) / origin.folder(version.tags[tags.ORIGIN])


def test_what_made_a_version_comes_back_byte_for_byte() -> None:
    with tracking.connect() as client:
        assert origin.read(client, registered(client, MADE_OF)) == MADE_OF


def test_versions_of_one_run_carry_what_made_each() -> None:
    made = records.model(Path("model"), "weights")
    with tracking.connect() as client:
        run = client.create_run(tracking.experiment(client, "tiny")).info.run_id
        for made_of in (MADE_OF | {"uncommitted.diff": b"x"}, MADE_OF):
            source = publishing.log_model(client, run, Path("model"), made, made_of)
            tagged = records.version_tags(made, Path("model")) | {tags.ORIGIN: files.contents_digest(made_of)}
            version = aliases.register(client, "tiny", source, run, tagged)
            assert origin.read(client, version) == made_of
        assert origin.read(client, client.get_model_version("tiny", "1")) == MADE_OF | {"uncommitted.diff": b"x"}


Damage = Callable[[Path], Any]
CHANGED: dict[str, Damage] = {
    "another params.yaml": lambda folder: (folder / "params.yaml").write_text("data: {dataset: sidd-small}\n"),
    "no dvc.lock": lambda folder: (folder / "dvc.lock").unlink(),
    "one more file": lambda folder: (folder / "uncommitted.diff").write_text("x"),
    "nothing": lambda folder: folder.rename(folder.with_name("elsewhere")),
}


@pytest.mark.parametrize("damage", CHANGED.values(), ids=CHANGED)
def test_what_was_changed_since_is_not_believed(damage: Damage) -> None:
    with tracking.connect() as client:
        version = registered(client, MADE_OF)
        damage(folder_of(client, version))
        with pytest.raises(RegistryError, match=r"what version 1 of tiny was made of"):
            origin.read(client, version)


@pytest.mark.parametrize("value", ["-", "other", "0" * 64])
def test_a_version_must_say_what_it_carries(value: str) -> None:
    with tracking.connect() as client:
        version = registered(client, MADE_OF, **{tags.ORIGIN: value})
        with pytest.raises(RegistryError, match=r"version 1 of tiny"):
            origin.read(client, version)


def test_what_a_study_asked_for_is_carried_whatever_its_file_says_by_now(
    project: Path, make_params: Callable[..., Params], tiny: dict[str, Any]
) -> None:
    raw, file = records.downloaded(project / "raw", DataParams(dataset="photos")), project / "params.yaml"
    assert isinstance(raw, Source)
    asked = f"# why\n{yaml.safe_dump(tiny)}"
    other = asked.replace("epochs: 2", "epochs: 3")
    for content, carried in ((asked, asked), (other, None), ("{", None), (None, None)):
        file.unlink(missing_ok=True)
        if content is not None:
            file.write_text(content)
        found = origin.of_study(make_params(), file, Path("dvc.lock"), raw)["params.yaml"]
        assert parsed(found, "params.yaml") == make_params()
        assert carried is None or found == carried.encode()


# Settings of a user that change what git prints.
OWN = {
    "plain": "",
    "color": "[color]\nui = always\n",
    "no prefix": "[diff]\nnoprefix = true\n",
    "mnemonic prefix": "[diff]\nmnemonicPrefix = true\n",
    "another program": "[diff]\nexternal = echo\n",
}


@pytest.mark.parametrize("settings", OWN.values(), ids=OWN)
def test_licences_packages_and_changes_beyond_the_commit_are_gathered(
    project: Path, monkeypatch: pytest.MonkeyPatch, settings: str, make_params: Callable[..., Params]
) -> None:
    (project / "gitconfig").write_text(settings)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(project / "gitconfig"))
    repository = project / "repository"
    repository.mkdir()
    monkeypatch.chdir(repository)

    def git(*arguments: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *who, *arguments], check=True, capture_output=True)

    raw = records.downloaded(repository / "raw", DataParams(dataset="photos"))
    assert isinstance(raw, Source)
    (repository / "params.yaml").write_text("a: 1\n")
    git("init")
    git("add", "params.yaml", "raw")
    git("commit", "-m", "first")
    # As git does it for its hooks.
    monkeypatch.setenv("GIT_DIR", str(project / "elsewhere"))
    found = origin.of_study(make_params(), Path("params.yaml"), Path("dvc.lock"), raw)
    assert set(found) == {"params.yaml", "sources.json", "requirements.txt", "commit.txt"}
    assert b"\ntorch==" in found["requirements.txt"]
    assert json.loads(found["sources.json"])["dataset"] == "photos"
    (repository / "params.yaml").write_text("a: 2\n")
    changed = origin.of_study(make_params(), Path("params.yaml"), Path("dvc.lock"), raw)
    monkeypatch.delenv("GIT_DIR")
    assert changed[origin.COMMIT].strip() == found[origin.COMMIT].strip() + b"-dirty"
    git("checkout", "params.yaml")
    (repository / "change.diff").write_bytes(changed[origin.DIFF])
    git("apply", "change.diff")
    assert (repository / "params.yaml").read_text() == "a: 2\n"
