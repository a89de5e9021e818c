"""Environment variables, and what they place: home, downloads, mirror, tracking server, credentials.

docs/environment.md lists the variables.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from degrain import files

# NOTE: these must be set before the libraries are imported: several call home while they are imported.
OFF_SWITCHES: Mapping[str, str] = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DVC_NO_ANALYTICS": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "NO_ALBUMENTATIONS_UPDATE": "1",
}

# What this program itself sets: matrix products that give the same bits every time.
WORKSPACE = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
# What makes libraries compute by other instructions than the processor's best, or divide the work among threads in
# another way, and so with other last bits.
ARITHMETIC = (
    *("OMP_DYNAMIC", "OMP_THREAD_LIMIT", "MKL_DYNAMIC", "MKL_NUM_STRIPES"),
    *("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_DEFAULT_FPMATH_MODE"),
    *("ONEDNN_CPU_ISA_HINTS", "DNNL_CPU_ISA_HINTS"),
    *("MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR", "MKL_DEBUG_CPU_TYPE"),
    *("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OPENBLAS_BLOCK_FACTOR"),
    *("NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES", "OPENCV_CPU_DISABLE", "OPENCV_IPP"),
    *("NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", WORKSPACE[0]),
)

# Variables that git sets for its hooks and aliases, as `git rev-parse --local-env-vars` lists them, and GIT_NAMESPACE:
# they would send a command to another repository than its folder's, or to other settings.
ELSEWHERE = frozenset(
    {
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_CONFIG",
        "GIT_CONFIG_COUNT",
        "GIT_CONFIG_PARAMETERS",
        "GIT_DIR",
        "GIT_GRAFT_FILE",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_INTERNAL_SUPER_PREFIX",
        "GIT_NAMESPACE",
        "GIT_NO_REPLACE_OBJECTS",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_REPLACE_REF_BASE",
        "GIT_SHALLOW_FILE",
        "GIT_WORK_TREE",
    }
)

SQLITE = "sqlite:///"


def project() -> Path:
    """Return the project's folder, to which relative paths of params and variables belong: the present one.

    A run in a workspace of its own says by DEGRAIN_PROJECT whose it is. Experiments that DVC runs in a temporary copy
    of the project (`dvc exp run --temp` and `--queue`) belong to the project itself.
    """
    if chosen := os.environ.get("DEGRAIN_PROJECT"):
        return Path(chosen)
    for parent in Path.cwd().parents:
        if parent.parts[-3:] == (".dvc", "tmp", "exps"):
            return parent.parents[2]
    return Path()


def in_project(path: str) -> Path:
    """Return the place that a user names; a relative path belongs to the project, and `~` is the user's own folder."""
    return project() / Path(path).expanduser()


def home() -> Path:
    """Return the folder that outlives single runs: trial ledger, local MLflow store, downloads.

    DEGRAIN_HOME, or `.degrain` in the project's folder. A temporary copy in which DVC runs an experiment shares it,
    since the copy is deleted afterwards.
    """
    return in_project(os.environ.get("DEGRAIN_HOME") or ".degrain")


def limit_mlflow_retries() -> None:
    """Have MLflow's client give up a server within seconds: by itself it asks again for 200, without a word."""
    for name, value in (("MAX_RETRIES", "3"), ("BACKOFF_FACTOR", "1"), ("TIMEOUT", "60")):
        os.environ.setdefault(f"MLFLOW_HTTP_REQUEST_{name}", value)


def expect_answers_within(seconds: int) -> None:
    """Have MLflow's client ask a server once, and wait so long; for whoever asks again itself."""
    for name, value in (("MAX_RETRIES", "0"), ("TIMEOUT", str(seconds))):
        os.environ[f"MLFLOW_HTTP_REQUEST_{name}"] = value


def quiet_mlflow() -> None:
    """Have MLflow's client draw no bar over two files, which it does also where nobody watches, and print no links."""
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    # It would copy pyproject.toml and uv.lock of the present folder beside a model.
    os.environ.setdefault("MLFLOW_UV_AUTO_DETECT", "false")


def arithmetic() -> list[str]:
    """Return those of `ARITHMETIC` that are set, as NAME=VALUE."""
    changed = {name: os.environ[name] for name in ARITHMETIC if os.environ.get(name)}
    return [f"{name}={value}" for name, value in changed.items() if (name, value) != WORKSPACE]


def of_its_folder(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return an environment without `ELSEWHERE`, so that git works in the repository of the folder it runs in."""
    return {name: value for name, value in environment.items() if name not in ELSEWHERE}


def switch_off_telemetry() -> None:
    """Keep every dependency from calling home, unless the user has set its variable otherwise."""
    for name, value in OFF_SWITCHES.items():
        os.environ.setdefault(name, value)


def tracking_uri() -> str:
    """Return the MLflow tracking server: MLFLOW_TRACKING_URI, or the project's own SQLite file.

    A SQLite file's path that is relative belongs to the project.
    """
    chosen = os.environ.get("MLFLOW_TRACKING_URI")
    if not chosen:
        return sqlite_uri(tracking_database())
    if chosen.startswith(SQLITE):
        return f"{SQLITE}{in_project(chosen.removeprefix(SQLITE)).resolve().as_posix()}"
    return chosen


def sqlite_uri(file: Path) -> str:
    """Return the address of a SQLite file, absolute, as SQLAlchemy takes it."""
    # NOTE: SQLAlchemy takes all letters as they are but the one that ends a path; that needs SQLite's own form.
    path = file.as_posix()
    return f"{SQLITE}file:{quote(path)}?uri=true" if "?" in path else f"{SQLITE}{path}"


def sqlite_file(uri: str) -> Path | None:
    """Return the file of a tracking server that is a SQLite file, or None."""
    if not uri.startswith(SQLITE):
        return None
    place = uri.removeprefix(SQLITE)
    return Path(unquote(place.removeprefix("file:").partition("?")[0]) if place.startswith("file:") else place)


def tracking_database() -> Path:
    """Return the SQLite file of the project's own MLflow store."""
    return home().resolve() / "mlflow" / "mlflow.db"


def artifact_root() -> Path:
    """Return the folder where the local MLflow store keeps artifacts."""
    return home() / "mlflow" / "artifacts"


def downloads() -> Path:
    """Return the folder of finished and unfinished downloads; it outlives runs, since DVC deletes a stage's outputs."""
    return home() / "downloads"


def mirror() -> str | None:
    """Return where data sets are looked for first: DEGRAIN_MIRROR, a folder's path or a server's URL, or None."""
    chosen = os.environ.get("DEGRAIN_MIRROR")
    if not chosen or chosen.startswith(("http://", "https://")):
        return chosen or None
    return str(in_project(unquote(urlsplit(chosen).path) if chosen.startswith("file://") else chosen))


def kaggle_credentials() -> str | None:
    """Say where the kaggle client will find credentials, without importing it.

    `import kaggle` logs in over the network, and prints a page of help where it cannot.

    Returns:
        The variable or the file, as in kaggle 2.2, or None where there is none.
    """
    if os.environ.get("KAGGLE_API_TOKEN"):
        return "KAGGLE_API_TOKEN"
    user = Path("~/.kaggle").expanduser()
    for token in (user / "access_token", user / "access_token.txt"):
        if _text(token).strip():
            return str(token)
    needed = {"username", "key"}
    given = {name for name in needed if os.environ.get(f"KAGGLE_{name.upper()}")}
    if given == needed:
        return "KAGGLE_USERNAME and KAGGLE_KEY"
    for legacy in (_kaggle_config_folder(user) / "kaggle.json", user / "kaggle.json"):
        if _json_names(legacy) | given >= needed:
            return str(legacy)
    oauth = user / "credentials.json"
    return str(oauth) if "refresh_token" in _json_names(oauth) else None


def _kaggle_config_folder(user: Path) -> Path:
    """Where the kaggle client looks for kaggle.json: ~/.config/kaggle only where ~/.kaggle does not exist."""
    if chosen := os.environ.get("KAGGLE_CONFIG_DIR"):
        return Path(chosen)
    if user.exists() or not sys.platform.startswith("linux"):
        return user
    return Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "kaggle"


def _json_names(path: Path) -> set[str]:
    """The names of the non-empty values in a JSON object; none where there is no such file."""
    try:
        value = files.parse_json(_text(path))
    except ValueError:
        return set()
    return {name for name, held in value.items() if held} if isinstance(value, dict) else set()


def _text(path: Path) -> str:
    """A file's text, or nothing where it cannot be read."""
    try:
        return files.contents(path).decode(errors="replace")
    except OSError:
        return ""


def interactive() -> bool:
    """Tell whether a person watches: progress bars are drawn only then."""
    return sys.stderr.isatty()
