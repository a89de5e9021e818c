"""What a reader must know of where a result was made: machine, versions, commit."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from degrain.machine import variables
from degrain.machine.compute import threads

if TYPE_CHECKING:
    import torch


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


# Instructions beyond the vector width by which oneDNN chooses its kernels, as PyTorch names them.
UNITS = ("avx512_bf16", "avx512_fp16", "amx_bf16", "amx_fp16")


def kind(device: torch.device) -> str:
    """Return what kind of processor or GPU computes: where it differs, the last bits of results may.

    That is also what libraries have been told to do without, see `variables.ARITHMETIC`.
    """
    import platform

    import torch

    told = variables.arithmetic()
    if device.type == "cuda":
        libraries = f"CUDA {torch.version.cuda}", f"cuDNN {torch.backends.cudnn.version()}"  # type: ignore[no-untyped-call]
        return ", ".join([torch.cuda.get_device_name(device), *libraries, *told])
    has = torch.cpu.get_capabilities()
    units = [name for name in UNITS if has.get(name)]
    return " ".join([platform.system(), platform.machine(), torch.backends.cpu.get_cpu_capability(), *units, *told])


def _gpu() -> str:
    try:
        import torch
    except ImportError:
        return "unknown without PyTorch"
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "none"


def has_gpu() -> bool:
    """Tell whether PyTorch can compute on a GPU here."""
    import torch

    return torch.cuda.is_available()


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


# A difference as git makes it, whatever the user has set for reading one.
_PLAIN = ("--binary", "--no-color", "--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/")
# What a run of the pipeline itself rewrites is no change of the project.
_OWN = (".", ":!dvc.lock", ":!results", ":!data")


def git_commit() -> str:
    """Return the commit of the working folder, with `-dirty` behind it when files have changed, or "unknown".

    What a run of the pipeline itself rewrites (dvc.lock, data/ and results/) does not count as changed.
    """
    import subprocess

    try:
        commit = _git("rev-parse", "--short=12", "HEAD").decode().strip()
        changed = _git("status", "--porcelain", "--untracked-files=normal", "--", *_OWN)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{commit}-dirty" if changed else commit


def git_diff() -> bytes:
    """Return what the files that git knows have beyond the commit, as `git apply` takes it; nothing without git."""
    import subprocess

    try:
        return _git("diff", *_PLAIN, "HEAD", "--", *_OWN)
    except (OSError, subprocess.CalledProcessError):
        return b""


def _git(*arguments: str) -> bytes:
    import subprocess

    command = ["git", *arguments]
    return subprocess.run(command, check=True, capture_output=True, env=variables.of_its_folder()).stdout  # noqa: S603
