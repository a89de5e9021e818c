"""Packaged models of networks that nobody has trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from degrain import files
from degrain.artifacts.source import AskedFiles, RawFile, Source
from degrain.artifacts.trial import TRIAL, WEIGHTS, TrialRecord
from degrain.inference.denoiser import Denoiser
from degrain.networks import catalog
from degrain.packaging.card import Facts
from tests.artifacts import records


def perturbed(network: nn.Module, by: float = 0.02) -> nn.Module:
    """Move all weights: some networks begin as the identity, of which everything is equal."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(by * torch.randn(parameter.shape))
    return network


def denoiser(model: str, channels: int = 3, size: int = 32, light: str = "srgb") -> Denoiser:
    """A network with random weights and the record of a trial."""
    torch.manual_seed(0)
    network = perturbed(catalog.build(model, channels, size))
    made = records.trial(model=model, channels=channels, patch_size=size, light=light)
    return Denoiser(network, model, channels, size, made)


def trial(folder: Path, model: str = "unet") -> TrialRecord:
    """A folder of a trial whose weights are random."""
    folder.mkdir(parents=True)
    save_file(denoiser(model).network.state_dict(), folder / WEIGHTS)
    made = records.trial(model=model, sha256={WEIGHTS: files.sha256(folder / WEIGHTS)}, ended=1_796_000_000.5)
    made.write(folder / TRIAL)
    return made


def facts(made: TrialRecord, **change: Any) -> Facts:
    """What the card of a trial tells."""
    source = Source(
        schema_version=Source.VERSION,
        asked=AskedFiles(dataset="photos", path="/data/jane-doe/images"),
        published={},
        title="Nine <b>photographs</b>",
        origin="a *library*",
        licence="CC0 | others",
        citation="[them](https://example.com)",
        files=[RawFile(file="a.png", bytes=1, sha256="a" * 64, origin="a library", credit="NASA", licence="CC0")],
    )
    told: dict[str, Any] = {
        "study": "A <script>study</script>\n# of `mine`",
        "trial": made,
        "scores": {"val_psnr": 30.5, "test_psnr": 30.25, "test_ssim": 0.85},
        "identity": {"test_psnr": 20.5, "test_ssim": 0.25},
        "baselines": {"nlm": {"test_psnr": 29.5, "test_ssim": 0.75}},
        "verdicts": [records.verdict()],
        "source": source,
    }
    return Facts(**told | change)
