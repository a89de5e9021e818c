"""The team's compose files, image and scripts, as the tools that read them see them; nothing here needs docker."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from degrain.machine import variables
from tests.conftest import BIN, ROOT

SERVERS, WORKERS = "docker-compose.yml", "docker-compose.worker.yml"
FILES = [SERVERS, WORKERS, "team/worker.yml"]
SCRIPTS = sorted((ROOT / "team").glob("*.sh"))
DOCKERFILE = (ROOT / "Dockerfile").read_text()
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

_VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?::?([-?])([^}]*))?\}")
# A commented line of .env.example is a variable with a default, or one of workers elsewhere.
_ASSIGNED = re.compile(r"^(?:# )?([A-Z][A-Z0-9_]*)=(.*)$", re.MULTILINE)


def used(*files: str) -> dict[str, tuple[str, str]]:
    """Variables of compose files: "?" and what is said without it, or "-" and the default."""
    found: dict[str, tuple[str, str]] = {}
    for file in files:
        for name, sign, text in _VARIABLE.findall((ROOT / file).read_text()):
            assert found.setdefault(name, (sign, text))[0] == sign, name
            if sign == "-":
                assert found[name][1] == text, name
    return found


def required(*files: str) -> list[str]:
    return sorted(name for name, (sign, _) in used(*files).items() if sign == "?")


NEEDED = {SERVERS: required(SERVERS, "team/worker.yml"), WORKERS: required(WORKERS, "team/worker.yml")}


def compose(file: str, *profiles: str, **given: str) -> subprocess.CompletedProcess[str]:
    chosen = [part for profile in profiles for part in ("--profile", profile)]
    command = [BIN / "docker-compose", "--env-file", os.devnull, "-f", ROOT / file, *chosen]
    return subprocess.run(
        [*command, "config", "--format", "json"],
        env={"PATH": os.environ["PATH"]} | given,
        capture_output=True,
        text=True,
        check=False,
    )


@cache
def config(file: str, *profiles: str) -> dict[str, Any]:
    done = compose(file, *profiles, **{name: f"{name}-@:/" for name in NEEDED[file]})
    # NOTE: this docker-compose says mistakes on stderr and exits with 0.
    assert (done.returncode, done.stderr) == (0, "")
    read: dict[str, Any] = json.loads(done.stdout)
    return read


def services(file: str, *profiles: str) -> dict[str, Any]:
    found: dict[str, Any] = config(file, *profiles)["services"]
    return found


SERVICES = [
    pytest.param(file, name, id=f"{Path(file).stem}-{name}")
    for file in (SERVERS, WORKERS)
    for name in yaml.safe_load((ROOT / file).read_text())["services"]
]


def test_the_gpu_worker_comes_with_its_profile_only() -> None:
    for file in (SERVERS, WORKERS):
        assert services(file, "gpu").keys() - services(file).keys() == {"worker-gpu"}
    worker = services(SERVERS, "gpu")["worker-gpu"]
    (device,) = worker["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "device_ids": ["0"], "capabilities": ["gpu"]}
    assert worker["command"][-2:] == ["--limit", "1"]


@pytest.mark.parametrize("file", FILES)
def test_it_is_valid_by_the_compose_specification(file: str) -> None:
    command = [BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", ROOT / file]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("file", "name"), [(file, name) for file, names in NEEDED.items() for name in names])
@pytest.mark.parametrize("without", ["unset", "empty"])
def test_it_refuses_to_start_without(file: str, name: str, without: str) -> None:
    given = {other: "x" for other in NEEDED[file] if other != name} | ({name: ""} if without == "empty" else {})
    done = compose(file, "gpu", **given)
    assert not done.stdout
    assert f"required variable {name} is missing a value: set {name} in .env" in done.stderr


def test_passwords_come_from_the_environment_and_have_no_default() -> None:
    assert [name for name in NEEDED[SERVERS] if re.search("PASSWORD|SECRET|KEY|AUTH", name)] == [
        "MLFLOW_FLASK_SERVER_SECRET_KEY",
        "MLFLOW_TRACKING_PASSWORD",
        "POSTGRES_PASSWORD",
        "PREFECT_API_AUTH_STRING",
        "S3_ACCESS_KEY",
        "S3_SECRET_KEY",
    ]
    for file in FILES:
        for line in (ROOT / file).read_text().splitlines():
            if found := re.match(r"\s*(\w*(?:PASSWORD|SECRET|KEY|AUTH_STRING)\w*): (.*)", line):
                assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", found[2]), line
    for place in (ROOT / "team").iterdir():
        assert not re.search(r"(?im)^\s*\w*(password|secret)\w*\s*=|://\w+:\w+@", place.read_text()), place.name


@pytest.mark.parametrize(("file", "name"), SERVICES)
def test_a_service_is_pinned_restarted_and_watched(file: str, name: str) -> None:
    service = services(file, "gpu")[name]
    image, _, tag = service["image"].rpartition(":")
    assert re.match(r"\d+\.\d+", tag), service["image"]
    assert not image.startswith("degrain") or tag == VERSION
    once = [
        needed[name]["condition"]
        for other in services(file, "gpu").values()
        if name in (needed := other.get("depends_on", {}))
    ]
    if "service_completed_successfully" in once:
        assert service["restart"] == "on-failure:5"
    else:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"][0] == "CMD"
        assert service["stop_grace_period"]


@pytest.mark.parametrize(("file", "name"), SERVICES)
def test_ports_are_published_on_loopback_and_databases_on_none(file: str, name: str) -> None:
    ports = {port["published"]: port["host_ip"] for port in services(file, "gpu")[name].get("ports", ())}
    assert set(ports.values()) <= {"127.0.0.1"}
    assert list(ports) == {"prefect": ["4200"], "mlflow": ["5000"], "s3": ["9000"]}.get(name, [])


@pytest.mark.parametrize(("file", "name"), SERVICES)
def test_what_lasts_is_in_named_volumes(file: str, name: str) -> None:
    volumes = [volume for volume in services(file, "gpu")[name].get("volumes", ()) if not volume.get("read_only")]
    assert all(volume["type"] == "volume" and volume["source"] in config(file, "gpu")["volumes"] for volume in volumes)
    if name.startswith("worker"):
        assert [volume["target"] for volume in volumes] == re.findall(r"DEGRAIN_PROJECT=(\S+)", DOCKERFILE)
    if name == "prefect":  # the leases of runs
        assert [volume["target"] for volume in volumes] == [services(file)[name]["environment"]["PREFECT_HOME"]]
    # A new volume has the owner that its folder has in the image.
    made = re.findall(r"install -d -o degrain -g degrain (.*) \\", DOCKERFILE)
    if services(file, "gpu")[name]["image"].startswith("degrain"):
        assert {volume["target"] for volume in volumes} <= set(made[0].split())


def test_workers_of_this_and_of_another_machine_differ_in_where_the_servers_are() -> None:
    here, there = (services(file, "gpu") for file in (SERVERS, WORKERS))
    for name in ("worker", "worker-gpu"):
        one, other = dict(here[name]), dict(there[name])
        assert one.pop("depends_on")
        differing = {
            key
            for key in one["environment"] | other["environment"]
            if one["environment"][key] != other["environment"][key]
        }
        assert differing == {"PREFECT_API_URL", "MLFLOW_TRACKING_URI", "AWS_ENDPOINT_URL_S3"}
        del one["environment"], other["environment"]
        assert one == other


def test_the_example_names_every_variable_with_its_default_and_no_password() -> None:
    variables_used = used(*FILES)
    example = dict(_ASSIGNED.findall((ROOT / ".env.example").read_text()))
    assert example.keys() == variables_used.keys()
    for name, (sign, default) in variables_used.items():
        if sign == "-":
            assert example[name] == default, name
        elif name in NEEDED[SERVERS]:
            assert example[name] == "", name
        else:
            assert "example.org" in example[name], name


def test_environment_md_tells_of_every_variable() -> None:
    told = set(re.findall(r"`([A-Z][A-Z0-9_]*)`", (ROOT / "docs" / "environment.md").read_text()))
    assert not used(*FILES).keys() - told


def test_env_is_not_committed() -> None:
    assert subprocess.run(["git", "check-ignore", "-q", ".env"], cwd=ROOT, check=False).returncode == 0


def test_the_dockerfile_passes_hadolint() -> None:
    done = subprocess.run([BIN / "hadolint", ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_runs_as_no_root_from_a_pinned_base_and_calls_nobody() -> None:
    assert re.search(r"^ARG BASE=python:\d+\.\d+\.\d+-slim-\w+$", DOCKERFILE, re.MULTILINE)
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[2:]
    assert [re.findall(r"^USER (\d+)$", stage, re.MULTILINE) for stage in stages] == [["10001"], ["10001"]]
    assert [re.findall(r"\S+ AS (\w+)", stage)[0] for stage in stages] == ["cpu", "cuda"]
    assert dict(re.findall(r"(\w+)=(\w+) ?\\?$", DOCKERFILE, re.MULTILINE)).items() >= variables.OFF_SWITCHES.items()


def test_the_image_gets_no_more_than_it_installs() -> None:
    wanted = (ROOT / ".dockerignore").read_text().splitlines()
    copied = re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.MULTILINE)
    assert {line[1:] for line in wanted if line.startswith("!")} == set(" ".join(copied).split())


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_is_plain_sh(script: Path) -> None:
    assert os.access(script, os.X_OK)
    for command in (["sh", "-n", script], [BIN / "shellcheck", script]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_scripts_that_services_run_are_in_the_image() -> None:
    for file in FILES:
        for name in re.findall(r"/opt/team/([\w.]+)", (ROOT / file).read_text()):
            assert (ROOT / "team" / name).is_file(), name


def test_the_databases_that_are_made_are_those_that_are_used() -> None:
    made = re.findall(r"^CREATE DATABASE (\w+);", (ROOT / "team" / "databases.sql").read_text(), re.MULTILINE)
    text = "".join((ROOT / name).read_text() for name in (SERVERS, "team/mlflow.sh", "team/basic_auth.ini"))
    assert set(re.findall(r"degrain@postgres/(\w+)", text)) == {"prefect", *made}
    first = yaml.safe_load((ROOT / SERVERS).read_text())["services"]["postgres"]["environment"]["POSTGRES_DB"]
    assert first == "prefect"
