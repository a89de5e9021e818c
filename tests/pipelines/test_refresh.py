"""A data set that changes where it is published: the drift is reported, and nothing is trained on it by itself."""

from __future__ import annotations

import io
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.settings import PREFECT_API_URL, temporary_settings

from degrain.studies import gallery
from pipelines import automations
from tests.conftest import ROOT, Project, clone, merged, picture
from tests.ingest.fetching.site import Answer, Site
from tests.pipelines.conftest import until
from tests.services.processes import Hook


def archive(seeds: dict[str, int]) -> bytes:
    """FER-2013 as Kaggle packs it, with a few faces."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as target:
        for name, seed in seeds.items():
            face = io.BytesIO()
            Image.fromarray(picture(seed, 48, 48)[..., 0]).save(face, "PNG")
            jpeg = io.BytesIO()
            Image.open(face).convert("L").save(jpeg, "JPEG", quality=95)
            target.writestr(f"{name}.jpg", jpeg.getvalue())
    return packed.getvalue()


FIRST = {
    f"{part}/disgust/{number}": 10 * index + number
    for index, part in enumerate(("train", "test"))
    for number in range(6)
}
LATER = {name: seed for name, seed in FIRST.items() if name != "train/disgust/0"} | {
    "train/disgust/7": 77,
    "test/disgust/1": 88,
}


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.close()


@pytest.fixture
def hook(url: str) -> Iterator[Hook]:
    """A webhook that the Prefect server tells, as after `DEGRAIN_NOTIFY=custom-webhook/team make deploy`."""
    made = Hook()
    told = {"subject": "{{subject}}", "body": "{{body}}"}
    with temporary_settings({PREFECT_API_URL: url}):
        CustomWebhookNotificationBlock(name="team", url=made.url, json_data=told).save("team", overwrite=True)  # type: ignore[unused-coroutine]
        automations.make("custom-webhook/team")
    yield made
    made.close()


def refresh(project: Project, site: Site, *options: str, **variables: str) -> tuple[int, str]:
    command = (sys.executable, "-m", "pipelines.refresh", *options)
    done = project.run(*command, DEGRAIN_MIRROR=site.url(""), **variables)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_change_upstream_is_reported_and_goes_to_a_branch(tmp_path: Path, site: Site, url: str, hook: Hook) -> None:
    study: dict[str, Any] = merged(gallery.compose("fer2013", ROOT / "conf"), {"study": {"name": "faces"}})
    project = clone(tmp_path, study)
    place = "/kaggle/msambare/fer2013.zip"
    site.serve(place, Answer(archive(FIRST), headers={"ETag": '"1"'}))
    done = project.run("dvc", "repro", "validate", DEGRAIN_MIRROR=site.url(""))
    assert done.returncode == 0, done.stdout + done.stderr
    for command in (("git", "add", "-A"), ("git", "commit", "-qm", "data")):
        assert project.run(*command).returncode == 0
    locked = project.read("dvc.lock")
    code, told = refresh(project, site)
    assert code == 0, told
    assert "fer2013: looked at for the first time here" in told
    assert "12 images, the same as before" in told, "a change since the download would be seen"
    code, told = refresh(project, site)
    assert code == 0, told
    assert "fer2013: nothing has changed upstream" in told
    code, told = refresh(project, site, "--force")
    assert code == 0, told
    assert "12 images, the same as before" in told
    site.serve(place, Answer(archive(LATER), headers={"ETag": '"2"'}))
    code, told = refresh(project, site, PREFECT_API_URL=url)
    assert code == 0, told
    drift = "12 images before, 12 now: 1 added, 1 removed, 1 changed"
    assert drift in told
    assert until(lambda: hook.told), "nobody is told"
    assert hook.heard("fer2013 has changed upstream", drift, "merge it to train on it"), hook.told
    assert not (project.folder / ".degrain" / "trials").exists(), "nothing is trained on it before"
    assert "on the branch refresh-fer2013 has it, merge it to train on it" in told
    assert project.read("dvc.lock") == locked
    assert not project.run("git", "status", "--porcelain").stdout
    changed = project.run("git", "diff", "--name-only", "main", "refresh-fer2013").stdout.split()
    assert {"dvc.lock", "data/checksums.json"} <= set(changed)
    code, told = refresh(project, site)
    assert code == 0, told
    assert "nothing has changed upstream" in told
    site.answers.clear()
    code, told = refresh(project, site)
    assert code == 2
    assert "nobody says what fer2013.zip is at present" in told


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_data_set_without_a_publisher_is_the_same_for_ever(copy: Project, site: Site) -> None:
    code, told = refresh(copy, site)
    assert code == 0, told
    assert "photos: nothing has changed upstream" in told
