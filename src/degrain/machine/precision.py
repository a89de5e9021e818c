"""In which floating-point type a network computes: float32, or bfloat16 where the hardware has units for it."""

from __future__ import annotations

import torch

TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def resolve(wanted: str, device: torch.device) -> str:
    """Return "float32" or "bfloat16".

    Args:
        wanted: "auto" takes bfloat16 where the device multiplies matrices of it faster than float32: GPUs that have it,
            CPUs with AMX or AVX512-BF16.
        device: Where to compute.
    """
    if wanted != "auto":
        return wanted
    return "bfloat16" if has_bfloat16_units(device) else "float32"


def for_inference(wanted: str, device: torch.device) -> str:
    """Return "float32" or "bfloat16": "auto" is bfloat16 on CPUs with units for it; on GPUs it gains nothing."""
    return "float32" if wanted == "auto" and device.type == "cuda" else resolve(wanted, device)


def has_bfloat16_units(device: torch.device) -> bool:
    """Tell whether the device has instructions for products of bfloat16 matrices."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """Return the context in which the network is called; weights, losses and optimizer stay float32."""
    return torch.autocast(device.type, TYPES[precision], enabled=precision != "float32")
