"""With how many threads, on which device and by which algorithms to compute."""

from __future__ import annotations

import ctypes
import os
import sys
from typing import TYPE_CHECKING

from degrain.errors import ParamsError
from degrain.machine import variables

if TYPE_CHECKING:
    import torch


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
    os.environ.setdefault(*variables.WORKSPACE)
    keep_freed_memory()
    import torch

    chosen = choose_device(device)
    torch.set_num_threads(cpu_threads)
    # NOTE: the same as use_deterministic_algorithms, which imports the compiler as well: 1.2 s in each process.
    torch.set_deterministic_debug_mode("error" if deterministic else "default")
    # NOTE: filling fresh memory with NaN shows the bugs of kernels, and costs 5 % here.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = not deterministic
    return chosen


def choose_device(device: str) -> torch.device:
    """Return the device that a name stands for; arguments and errors are those of `prepare_torch`."""
    import torch

    require_device(device)
    return torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")


def require_device(device: str) -> None:
    """Refuse a device that this machine does not have.

    Raises:
        ParamsError: "cuda" is asked for and there is none.
    """
    if device != "cuda":
        return
    import torch

    if not torch.cuda.is_available():
        raise ParamsError("train.device is 'cuda' and this machine has no CUDA device; use 'auto' or 'cpu'")


def world() -> int:
    """Return how many processes `torchrun` has started to train one network together; 1 without it."""
    return int(os.environ.get("WORLD_SIZE") or 1)


def local_rank() -> int:
    """Return which of the processes that `torchrun` has started on this machine this one is, from 0."""
    return int(os.environ.get("LOCAL_RANK") or 0)


def memory() -> int:
    """Return how much memory this process may have, in bytes: the machine's, or less where a limit is set."""
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return physical if limit == resource.RLIM_INFINITY else min(limit, physical)


def peak_gpu_memory_mb(device: torch.device) -> float:
    """Return the most memory of the GPU that this process has had, in MB; 0 on the CPU."""
    import torch

    return round(torch.cuda.max_memory_allocated(device) / 1e6, 1) if device.type == "cuda" else 0.0


def peak_memory_mb() -> float:
    """Return the most memory that this process has had, in MB."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1e6 if sys.platform == "darwin" else 1e3), 1)
