"""The page of `degrain denoise --compare`: one HTML file that shows an image before and after, and loads nothing."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import degrain
from degrain import files
from degrain.errors import printable
from degrain.inference.visible import to_srgb
from degrain.ingest.formats import writing
from degrain.ingest.formats.picture import Metadata, Picture
from degrain.pixels import to_8_bits

SUFFIXES = (".html", ".htm")
TEMPLATE = "before_after.html"
# A JPEG stays one, at the quality of other outputs; everything else is shown without loss.
_KINDS = {".jpg": ("jpeg", ".jpg")}
_PNG = ("png", ".png")


def write(page: Path, before: Picture, after: Picture, name: str, facts: Mapping[str, str], force: bool) -> None:
    """Write the page, atomically.

    Args:
        page: Where.
        before: The noisy image.
        after: What was made of it, of the same size.
        name: What people call the image.
        facts: What is said below it, by what it is about, such as "model".
        force: Whether a file that is there is replaced.

    Raises:
        OutputError: It cannot be written.
    """
    text = render(before, after, name, facts)
    with files.new_file(page, replace=force) as partial:
        partial.write_text(text, encoding="utf-8")


def render(before: Picture, after: Picture, name: str, facts: Mapping[str, str]) -> str:
    """Return the page as HTML text; arguments are those of `write`."""
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=PackageLoader("degrain.inference", "."),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    height, width, channels = before.pixels.shape
    kind, suffix = _KINDS.get(before.suffix, _PNG)
    told = {
        "image": f"{width} x {height} pixels, {'gray' if channels == 1 else 'color'}, {_depth(before)}",
        **{about: printable(fact) for about, fact in facts.items()},
        "shown": _how(before, kind),
    }
    return environment.get_template(TEMPLATE).render(
        name=printable(name),
        width=width,
        height=height,
        before=_embedded(before, kind, suffix),
        after=_embedded(after, kind, suffix),
        facts=told,
        version=degrain.__version__,
    )


def _depth(picture: Picture) -> str:
    return f"{8 * picture.pixels.itemsize} bits"


def _how(picture: Picture, kind: str) -> str:
    """Say how the page's pictures differ from the files."""
    changes = ["JPEG, compressed anew" if kind == "jpeg" else "PNG, without loss"]
    changes += ["16 bits became 8"] if picture.pixels.dtype == np.uint16 else []
    changes += ["linear light became sRGB"] if picture.light == "linear" else []
    return ", ".join(changes)


def _embedded(picture: Picture, kind: str, suffix: str) -> str:
    """Return what a browser can show of a picture, as a data URI: 8 bits, its color profile, and nothing private."""
    with TemporaryDirectory(prefix="degrain-") as temporary:
        file = Path(temporary, f"shown{suffix}")
        writing.write(file, _shown(picture))
        return f"data:image/{kind};base64,{base64.b64encode(file.read_bytes()).decode()}"


def _shown(picture: Picture) -> Picture:
    alpha = None if picture.alpha is None else to_8_bits(picture.alpha)
    if picture.light == "linear":
        return Picture(to_srgb(picture.pixels), alpha)
    held = picture.metadata
    kept = Metadata(icc=held.icc, gamma=held.gamma, primaries=held.primaries, cicp=held.cicp)
    return replace(Picture(to_8_bits(picture.pixels), alpha), metadata=kept)
