"""The one place that reads or sets environment variables and looks at the machine.

docs/environment.md lists the variables.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from degrain.errors import ParamsError

if TYPE_CHECKING:
    import torch

# NOTE: these must be set before the libraries are imported: several call home while they are imported.
OFF_SWITCHES: Mapping[str, str] = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DVC_NO_ANALYTICS": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "NO_ALBUMENTATIONS_UPDATE": "1",
}


def home() -> Path:
    """Return the folder that outlives single runs: trial ledger, local MLflow store, promotion record.

    DEGRAIN_HOME, or `.degrain` in the project's folder. Experiments that DVC runs in a temporary copy of the project
    (`dvc exp run --temp` and `--queue`) share the folder of the project itself, since the copy is deleted afterwards.
    """
    if chosen := os.environ.get("DEGRAIN_HOME"):
        return Path(chosen)
    for parent in Path.cwd().parents:
        if parent.parts[-3:] == (".dvc", "tmp", "exps"):
            return parent.parents[2] / ".degrain"
    return Path(".degrain")


def switch_off_telemetry() -> None:
    """Keep every dependency from calling home, unless the user has set its variable otherwise."""
    for name, value in OFF_SWITCHES.items():
        os.environ.setdefault(name, value)


def tracking_uri() -> str:
    """Return the MLflow tracking server: MLFLOW_TRACKING_URI, or a SQLite file under `.degrain/`."""
    return (
        os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(home().resolve() / 'mlflow' / 'mlflow.db').as_posix()}"
    )


def artifact_root() -> Path:
    """Return the folder where the local MLflow store keeps artifacts."""
    return home() / "mlflow" / "artifacts"


def downloads() -> Path:
    """Return the folder of finished and unfinished downloads; it outlives runs, since DVC deletes a stage's outputs."""
    return home() / "downloads"


def mirror() -> str | None:
    """Return where data sets are looked for first: DEGRAIN_MIRROR (a folder or a URL), or None."""
    return os.environ.get("DEGRAIN_MIRROR") or None


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
        value = json.loads(_text(path))
    except ValueError:
        return set()
    return {name for name, held in value.items() if held} if isinstance(value, dict) else set()


def _text(path: Path) -> str:
    """A file's text, or nothing where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def threads() -> int:
    """Return how many CPU threads to compute with: DEGRAIN_THREADS, or every core this process may use.

    Raises:
        ParamsError: DEGRAIN_THREADS is not a positive integer.
    """
    wanted = os.environ.get("DEGRAIN_THREADS", "")
    if wanted:
        if not wanted.isdigit() or int(wanted) < 1:
            raise ParamsError(f"DEGRAIN_THREADS={wanted!r}: must be a positive integer")
        return int(wanted)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def interactive() -> bool:
    """Tell whether a person watches: progress bars are drawn only then."""
    return sys.stderr.isatty()


def keep_freed_memory() -> None:
    """Ask glibc to keep freed memory, so that each training step does not fault its activations in again.

    Does nothing on other C libraries.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    m_trim_threshold, m_top_pad, m_mmap_threshold = -1, -2, -3
    mallopt(m_mmap_threshold, 1 << 30)
    mallopt(m_trim_threshold, 1 << 30)
    mallopt(m_top_pad, 64 << 20)


def prepare_torch(device: str, cpu_threads: int, deterministic: bool = True) -> torch.device:
    """Choose the device and, unless speed matters more, make PyTorch compute the same bits every time on it.

    Args:
        device: "auto" (CUDA when there is one, else the CPU), "cpu" or "cuda".
        cpu_threads: With how many threads to compute; the last bits of results depend on it.
        deterministic: Whether only such algorithms are allowed that give the same bits every time.

    Returns:
        The device to compute on.

    Raises:
        ParamsError: "cuda" is asked for and there is none.
    """
    # NOTE: cuBLAS reads this once, when it starts; without it deterministic matrix products are refused.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    keep_freed_memory()
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise ParamsError("train.device is 'cuda' and this machine has no CUDA device; use 'auto' or 'cpu'")
    torch.set_num_threads(cpu_threads)
    # NOTE: the same as use_deterministic_algorithms, which imports the compiler as well: 1.2 s in each process.
    torch.set_deterministic_debug_mode("error" if deterministic else "default")
    # NOTE: filling fresh memory with NaN shows the bugs of kernels, and costs 5 % here.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = not deterministic
    chosen = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
    return torch.device(chosen)


def peak_memory_mb() -> float:
    """Return the most memory that this process has had, in MB."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1e6 if sys.platform == "darwin" else 1e3), 1)


def world() -> int:
    """Return how many processes `torchrun` has started to train one network together; 1 without it."""
    return int(os.environ.get("WORLD_SIZE") or 1)


def local_rank() -> int:
    """Return which of the processes that `torchrun` has started on this machine this one is, from 0."""
    return int(os.environ.get("LOCAL_RANK") or 0)


def describe_machine() -> dict[str, str]:
    """Return what a reader must know of this machine to judge a time: system, processor, cores, memory, GPU, Python."""
    import platform

    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": str(threads()),
        "memory": f"{memory / 2**30:.0f} GiB",
        "GPU": _gpu(),
        "python": platform.python_version(),
    }


def _gpu() -> str:
    try:
        import torch
    except ImportError:
        return "unknown without PyTorch"
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "none"


def _processor() -> str:
    import platform

    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def versions() -> dict[str, str]:
    """Return the installed versions of degrain and of the libraries that decide its results."""
    import importlib.metadata

    names = (
        "degrain",
        "torch",
        "numpy",
        "scikit-image",
        "scipy",
        "opencv-python-headless",
        "albumentations",
        "pillow",
        "pywavelets",
        "rawpy",
        "great-expectations",
        "dvc",
        "mlflow",
        "prefect",
    )
    return {name: importlib.metadata.version(name) for name in names}


def git_commit() -> str:
    """Return the commit of the working folder, with `-dirty` behind it when files have changed, or "unknown".

    What a run of the pipeline itself rewrites (dvc.lock, data/ and results/) does not count as changed.
    """
    import subprocess

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], check=True, capture_output=True, text=True)  # noqa: S603, S607
        return done.stdout.strip()

    try:
        commit = git("rev-parse", "--short=12", "HEAD")
        changed = git("status", "--porcelain", "--", ".", ":!dvc.lock", ":!results", ":!data")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{commit}-dirty" if changed else commit
