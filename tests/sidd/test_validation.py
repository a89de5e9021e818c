"""A network on SIDD's validation blocks, from generated files: values, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from degrain import files
from degrain.artifacts.sidd_validation import SiddValidation
from degrain.errors import DataError
from degrain.inference.denoiser import Denoiser
from degrain.params.data import DataParams
from degrain.sidd import validation
from tests.artifacts import records
from tests.inference.test_denoiser import package
from tests.ingest.formats.fixtures import mat_v5
from tests.metrics.test_metrics import reference_ssim
from tests.sidd.conftest import BLOCKS, IMAGES, SIDE
from tests.test_cli import assert_one_line, degrain

NOISY, CLEAN = "ValidationNoisyBlocksSrgb", "ValidationGtBlocksSrgb"


def written(folder: Path, noisy: np.ndarray, clean: np.ndarray) -> Path:
    """A folder with both files; each names its array as the file is named."""
    folder.mkdir(exist_ok=True)
    for name, array in ((NOISY, noisy), (CLEAN, clean)):
        (folder / f"{name}.mat").write_bytes(mat_v5(**{name: array}))
    return folder


def with_noise(clean: np.ndarray, sigma: float = 20) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, sigma, clean.shape)
    return np.clip(np.rint(clean + noise), 0, 255).astype(np.uint8)


def expected(images: np.ndarray, clean: np.ndarray) -> tuple[float, float]:
    """PSNR and SSIM, each block by itself and then averaged, without degrain."""
    pairs = list(zip(images.reshape(-1, *images.shape[-3:]), clean.reshape(-1, *clean.shape[-3:]), strict=True))
    psnr = [10 * np.log10(255**2 / np.mean((x.astype(float) - y.astype(float)) ** 2)) for x, y in pairs]
    ssim = [[reference_ssim(x[..., c], y[..., c]) for c in range(3)] for x, y in pairs]
    return float(np.mean(psnr)), float(np.mean(ssim))


def test_scores_are_means_over_the_blocks(tmp_path: Path, blocks: np.ndarray, denoiser: Denoiser) -> None:
    noisy = with_noise(blocks)
    done = []
    with validation.pairs(written(tmp_path / "blocks", noisy, blocks)) as (noisy_blocks, clean_blocks):
        result = validation.score(denoiser, noisy_blocks, clean_blocks, lambda: done.append(1))
    outputs = [denoiser.outputs(block[None].astype(np.float32) / 255) for block in noisy.reshape(-1, SIDE, SIDE, 3)]
    rounded = np.rint(np.clip(np.concatenate(outputs), 0, 1) * 255).astype(np.uint8)
    assert result.blocks == len(done) == IMAGES * BLOCKS
    assert tuple(result.noisy.values()) == pytest.approx(expected(noisy, blocks), abs=1e-5)
    assert tuple(result.denoised.values()) == pytest.approx(expected(rounded, blocks), abs=1e-4)
    assert abs(result.denoised["psnr"] - result.noisy["psnr"]) > 1


@pytest.mark.parametrize(("model", "side"), [("unet", 256), ("machinecurve2019", 256), ("machinecurve2019-x2", 512)])
def test_a_published_block_goes_through_the_network_whole(tmp_path: Path, model: str, side: int) -> None:
    denoiser = Denoiser.load(package(tmp_path / "model", model, 3))
    seen = []
    denoiser.network.register_forward_pre_hook(lambda _, images: seen.append(tuple(images[0].shape)))
    clean = np.random.default_rng(1).integers(0, 256, (1, 2, 256, 256, 3), dtype=np.uint8)
    with validation.pairs(written(tmp_path / "blocks", with_noise(clean), clean)) as (noisy_blocks, clean_blocks):
        result = validation.score(denoiser, noisy_blocks, clean_blocks)
    assert seen == [(1, 3, side, side)] * 2
    if model == "unet":  # which returns its input when it is untrained
        assert result.denoised == result.noisy


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda clean: clean[:1], "hold 2 x 3 and 1 x 3 blocks"),
        (lambda clean: clean[:, :, :30], r"holds blocks \(32, 32, 3\), .* \(30, 32, 3\)"),
        (lambda clean: clean[..., 0].astype(np.float32) / 255, "not 8-bit sRGB"),
        (lambda clean: clean[..., :2], "not rows x columns of images"),
        (lambda clean: clean[0, 0], "not rows x columns of images"),
    ],
)
def test_files_that_do_not_belong_together_are_refused(
    tmp_path: Path, blocks: np.ndarray, denoiser: Denoiser, change: Callable[[np.ndarray], np.ndarray], words: str
) -> None:
    folder = written(tmp_path / "blocks", blocks, change(blocks))
    with pytest.raises(DataError, match=words), validation.pairs(folder) as (noisy_blocks, clean_blocks):
        validation.score(denoiser, noisy_blocks, clean_blocks)


def test_blocks_smaller_than_the_window_of_ssim_are_refused(
    tmp_path: Path, blocks: np.ndarray, denoiser: Denoiser
) -> None:
    few = blocks[..., :8, :8, :]
    folder = written(tmp_path / "blocks", few, few)
    with (
        pytest.raises(DataError, match=r"holds blocks \(8, 8, 3\), too small for SSIM, which needs 11 pixels"),
        validation.pairs(folder) as (noisy_blocks, clean_blocks),
    ):
        validation.score(denoiser, noisy_blocks, clean_blocks)


def test_the_command_prints_and_writes_the_numbers(tmp_path: Path, blocks: np.ndarray) -> None:
    weights = files.sha256(package(tmp_path / "model", "unet", 3) / "weights.safetensors")
    noisy = with_noise(blocks)
    written(tmp_path / "blocks", noisy, blocks)
    done = degrain(tmp_path, "sidd-validation", "blocks", "--model", "model", "--json", "out/numbers.json")
    assert done.returncode == 0, done.stderr
    assert "2 x 3 blocks, not the 40 x 32 that SIDD publishes" in done.stderr
    psnr, ssim = expected(noisy, blocks)
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[:3] == [
        ["6", "blocks", "PSNR,", "dB", "SSIM"],
        ["unet-adam-mse", f"{psnr:.3f}", f"{ssim:.4f}"],
        ["noisy", "input", f"{psnr:.3f}", f"{ssim:.4f}"],
    ]
    made = SiddValidation.read(tmp_path / "out" / "numbers.json")
    assert (made.model, made.weights_sha256, made.scores.blocks) == ("unet-adam-mse", weights, 6)
    assert made.scores.noisy == pytest.approx({"psnr": psnr, "ssim": ssim}, abs=1e-5)
    assert made.scores.denoised == made.scores.noisy


def test_what_is_measured_or_denoised_is_not_written_over(tmp_path: Path, blocks: np.ndarray) -> None:
    package(tmp_path / "model", "unet", 3)
    written(tmp_path / "blocks", blocks, blocks)
    (tmp_path / "link.csv").symlink_to(tmp_path / "blocks" / f"{NOISY}.mat")
    for words in (("sidd-submission", f"blocks/{NOISY}.mat"), ("sidd-validation", "blocks", "--json")):
        done = degrain(tmp_path, *words, "link.csv", "--model", "model")
        assert_one_line(done, f"link.csv is the input blocks/{NOISY}.mat; name another output")


def test_blocks_that_are_not_there_are_missed_in_one_line(tmp_path: Path) -> None:
    done = degrain(tmp_path, "sidd-validation", "--model", "model")
    assert_one_line(done, "data/raw/sidd-validation/ValidationGtBlocksSrgb.mat is missing; to download it: dvc exp run")


def test_downloaded_blocks_that_have_changed_are_refused(tmp_path: Path, blocks: np.ndarray) -> None:
    written(tmp_path / "blocks", with_noise(blocks), blocks)
    records.downloaded(tmp_path / "blocks", DataParams(dataset="sidd-validation"))
    written(tmp_path / "blocks", blocks, blocks)
    done = degrain(tmp_path, "sidd-validation", "blocks", "--model", "model")
    assert_one_line(done, "ValidationNoisyBlocksSrgb.mat has ")
