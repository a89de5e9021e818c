"""What papers print for SIDD: only values that were seen in the method's own repository or in its paper's table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A method and what it reaches on SIDD in sRGB.

    Attributes:
        method: Its name.
        psnr: Mean over images, in dB.
        ssim: Mean over images, at most 1.
        source: Where the numbers are from.
        year: Of the source, or None.
        parameters: In millions, or None.
        gmacs: Multiplications of a weight and a number for 256x256 pixels, in thousands of millions, or None.
    """

    method: str
    psnr: float
    ssim: float
    source: str
    year: int | None = None
    parameters: float | None = None
    gmacs: float | None = None


YILMAZ = 'Yilmaz, "Image Denoising Using Autoencoders", Ozyegin CS402, 2020 (its logs; SSIM by piq)'
NBNET = 'Cheng et al., "NBNet: Noise Basis Learning for Image Denoising with Subspace Projection", CVPR 2021'
MPRNET = 'Zamir et al., "Multi-Stage Progressive Image Restoration", CVPR 2021'
HINET = 'Chen et al., "HINet: Half Instance Normalization Network for Image Restoration", CVPR Workshops 2021'
UFORMER = 'Wang et al., "Uformer: A General U-Shaped Transformer for Image Restoration"'
MAXIM = 'Tu et al., "MAXIM: Multi-Axis MLP for Image Processing", CVPR 2022'
RESTORMER = 'Zamir et al., "Restormer: Efficient Transformer for High-Resolution Image Restoration", CVPR 2022'
NAFNET = 'Chen et al., "Simple Baselines for Image Restoration", ECCV 2022'
MAMBAIR = 'Guo et al., "MambaIR: A Simple Baseline for Image Restoration with State-Space Model", ECCV 2024'

# On the 1,280 blocks of 256x256 pixels of the validation part or of the benchmark, whichever the source used.
SIDD = (
    Row("NAFNet-64", 40.3045, 0.9614, NAFNET, 2022, 116, 65),
    Row("Baseline-64", 40.297, 0.9617, NAFNET, 2022, None, 84),
    Row("Restormer", 40.02, 0.960, RESTORMER, 2022, 26.1, 140),
    Row("HINet", 39.99, 0.958, HINET, 2021, 88.7, 171),
    Row("NAFNet-32", 39.967, 0.9599, NAFNET, 2022, 29.2, 16),
    Row("MAXIM", 39.96, 0.960, MAXIM, 2022, 22, 170),
    Row("Uformer-B", 39.89, 0.960, f"{UFORMER}, CVPR 2022", 2022, 50.9, 89.5),
    Row("MambaIR", 39.89, 0.960, MAMBAIR, 2024, 27),
    Row("Baseline-32", 39.886, 0.9596, NAFNET, 2022),
    Row("Uformer32", 39.77, 0.959, f"{UFORMER}, its repository, 2021", 2021, 20),
    Row("NBNet", 39.75, 0.959, NBNET, 2021, 13.3, 89),
    Row("MPRNet", 39.71, 0.958, MPRNET, 2021, 15.7, 588),
    Row("Uformer16", 39.65, 0.959, f"{UFORMER}, its repository, 2021", 2021, 5),
    Row("AEv2_0", 37.55, 0.907, YILMAZ, 2020, 0.52, 34),
)
