"""Every network by name: what `degrain.networks.base` builds it from.

What is said here of a network is in the keys of its trials, as values; so nothing here may build or change a network.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from degrain import catalogs
from degrain.errors import ModelError, nearest
from degrain.networks.base import ModelSpec

if TYPE_CHECKING:
    from torch import nn

SINHA = "Sinha and Sharma, IIT CS512, 2018"
BERNIER = "Bernier and Lucio, Concordia COMP 478, 2021"
MEHRPANAH = "Mehrpanah, 2020"
VENKATARAMAN = "Venkataraman, VIT, 2022"
YILMAZ = "Yilmaz, Ozyegin CS402, 2020"
REDNET = "Mao, Shen and Yang, NIPS 2016"
DNCNN = "Zhang, Zuo, Chen, Meng and Zhang, TIP 2017"
FFDNET = "Zhang, Zuo and Zhang, TIP 2018"


def _conv_autoencoder(title: str, source: str, **options: Any) -> ModelSpec:
    multiple = 2 ** len(options.get("filters", (32, 64)))
    return ModelSpec(title, source, "bernier2021", options, multiple, fixed_size=True, bounded=True)


def _dense(title: str, source: str, maker: str, bounded: bool = True, **options: Any) -> ModelSpec:
    return ModelSpec(title, source, maker, options, fixed_size=True, bounded=bounded)


def _rednet(depth: int) -> ModelSpec:
    return ModelSpec(f"RED-Net {depth}", REDNET, "rednet", {"depth": depth}, radius=depth)


def _resunet(
    title: str, widths: tuple[int, ...], blocks: tuple[int, ...], radius: int, keeps_mean: bool = False
) -> ModelSpec:
    options: dict[str, Any] = {"widths": widths, "blocks": blocks}
    if keeps_mean:
        title, options = f"{title}, keeps the mean", options | {"keeps_mean": True}
    return ModelSpec(f"Residual U-Net, {title}", "degrain", "resunet", options, multiple=8, radius=radius)


def _yilmaz(title: str, **options: Any) -> ModelSpec:
    return ModelSpec(title, YILMAZ, "yilmaz2020", options, radius=2 * options.get("depth", 8), bounded=True)


_DECLARED: list[tuple[str, ModelSpec]] = [
    ("sinha2018", ModelSpec("Sinha 2018", SINHA, "sinha2018", multiple=8, radius=29)),
    (
        "sinha2018-3-3",
        ModelSpec("Sinha 2018, 3 + 3 as described", SINHA, "sinha2018", {"bottom": False}, multiple=8, radius=21),
    ),
    ("bernier2021", _conv_autoencoder("Bernier 2021", BERNIER)),
    ("bernier2021-relu", _conv_autoencoder("Bernier 2021, ReLU", BERNIER, slope=0.0)),
    ("pyimagesearch2020", _conv_autoencoder("PyImageSearch 2020, LeakyReLU 0.2", MEHRPANAH, slope=0.2)),
    (
        "pyimagesearch2020-wide",
        _conv_autoencoder(
            "PyImageSearch 2020, 64 and 128 filters", MEHRPANAH, slope=0.2, filters=(64, 128), latent=128
        ),
    ),
    (
        "pyimagesearch2020-deep",
        _conv_autoencoder(
            "PyImageSearch 2020, 32, 64 and 128 filters", MEHRPANAH, slope=0.2, filters=(32, 64, 128), latent=256
        ),
    ),
    (
        "machinecurve2019",
        ModelSpec("MachineCurve 2019", MEHRPANAH, "mehrpanah2020:machinecurve", smallest=5, radius=5, bounded=True),
    ),
    (
        "datacamp2018",
        ModelSpec("DataCamp 2018", MEHRPANAH, "mehrpanah2020:datacamp", multiple=4, radius=17, bounded=True),
    ),
    ("opengenus2019", _dense("OpenGenus", MEHRPANAH, "mehrpanah2020:opengenus")),
    (
        "venkataraman2022",
        ModelSpec("Venkataraman 2022", VENKATARAMAN, "venkataraman2022", multiple=4, radius=10, bounded=True),
    ),
    ("venkataraman2022-dense", _dense("Venkataraman 2022, dense", VENKATARAMAN, "venkataraman2022:dense")),
    (
        "venkataraman2022-dense-relu",
        _dense(
            "Venkataraman 2022, dense, ReLU at the end",
            VENKATARAMAN,
            "venkataraman2022:dense",
            bounded=False,
            sigmoid=False,
        ),
    ),
    ("yilmaz2020", _yilmaz("Yilmaz 2020, AEv2_0")),
    ("yilmaz2020-no-skips", _yilmaz("Yilmaz 2020, no skips", skips=False)),
    ("yilmaz2020-shallow", _yilmaz("Yilmaz 2020, half as deep, no skips", depth=4, skips=False)),
    ("rednet10", _rednet(10)),
    ("rednet20", _rednet(20)),
    ("rednet30", _rednet(30)),
    ("dncnn", ModelSpec("DnCNN", DNCNN, "dncnn", {"depth": 17}, radius=17)),
    ("dncnn-20", ModelSpec("DnCNN, 20 layers", DNCNN, "dncnn", {"depth": 20}, radius=20)),
    ("ffdnet", ModelSpec("FFDNet, blind", FFDNET, "ffdnet", multiple=2, radius=36)),
    ("unet", ModelSpec("U-Net", "degrain", "unet", multiple=4, radius=23)),
    ("resunet-small", _resunet("small", (24, 32, 32), (1, 1, 1, 1, 1), 51)),
    ("resunet-medium", _resunet("medium", (32, 64, 96), (1, 1, 1, 2, 2), 63)),
    ("resunet-small-mean", _resunet("small", (24, 32, 32), (1, 1, 1, 1, 1), 85, keeps_mean=True)),
    ("resunet-medium-mean", _resunet("medium", (32, 64, 96), (1, 1, 1, 2, 2), 101, keeps_mean=True)),
    ("resunet-large", _resunet("large", (48, 96, 336), (1, 1, 2, 1, 1), 67)),
]


MODELS: dict[str, ModelSpec] = catalogs.networks(_DECLARED)
LATENT = re.compile(r"(?P<base>.+)-latent(?P<latent>[1-9]\d*)")
ENLARGED = re.compile(r"(?P<base>.+)-x(?P<times>[2-8])")


def spec(name: str) -> ModelSpec:
    """Look a network up.

    Args:
        name: One of the catalog; networks with a dense code of any length also as `<name>-latent<numbers>`, those that
            take images of any size also as `<name>-x<2 to 8>`, which enlarges images so many times per side.

    Raises:
        ModelError: There is none of that name; the message has the nearest.
    """
    if name in MODELS:
        return MODELS[name]
    found = LATENT.fullmatch(name)
    if found and (base := MODELS.get(found["base"])) and base.module == "bernier2021":
        latent = int(found["latent"])
        return replace(base, title=f"{base.title}, code of {latent}", options={**base.options, "latent": latent})
    found = ENLARGED.fullmatch(name)
    if found and (base := MODELS.get(found["base"])) and not base.fixed_size:
        return _enlarged(base, int(found["times"]))
    raise ModelError(f"unknown model {name!r}{nearest(name, MODELS)}")


def _enlarged(base: ModelSpec, times: int) -> ModelSpec:
    radius = base.radius or 0
    return replace(
        base,
        title=f"{base.title}, enlarged {times} times",
        multiple=base.multiple // math.gcd(base.multiple, times),
        smallest=-(-base.smallest // times),
        # Half an enlarged pixel less than the base's, and one pixel more for enlarging bilinearly.
        radius=-(-(2 * radius - 1 + times) // (2 * times)),
        times=times,
    )


def build(name: str, channels: int, size: int) -> nn.Module:
    """Build a network with fresh weights from PyTorch's global generator.

    Args:
        name: A name of the catalog.
        channels: 1, 3 or 4.
        size: Side of the training patches, in pixels.

    Raises:
        ModelError: Unknown name, or a size it cannot take.
    """
    return spec(name).build(channels, size)
