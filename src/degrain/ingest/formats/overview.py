"""What is read, kept, converted and refused of each format: `degrain formats` and docs/inputs.md."""

from __future__ import annotations

from dataclasses import dataclass

from degrain.ingest.formats import camera_raw
from degrain.ingest.formats.writing import FORMATS, NAMES


@dataclass(frozen=True)
class Row:
    """One format, in words.

    Attributes:
        title: Its name.
        suffixes: By which it is found in folders; the contents decide what a file is.
        read: What is read of it.
        converted: What is read and written as something else, with a word.
        refused: What is refused by name.
    """

    title: str
    suffixes: tuple[str, ...]
    read: str
    converted: str
    refused: str


ROWS = (
    Row(
        "PNG",
        (".png",),
        "1 to 16 bits, gray, RGB, palette, alpha, color keys, interlaced; cICP, profile and gamma say which light",
        "palettes to RGB",
        "animations, HDR (PQ, HLG) and other curves, any wrong checksum, colors that the palette does not have",
    ),
    Row(
        "JPEG",
        (".jpg", ".jpeg", ".jfif"),
        "8 bits, gray, YCbCr, RGB; baseline and progressive",
        "CMYK to sRGB by its profile; inks are inverted where Adobe's marker says so",
        "12 bits, lossless, hierarchical, with arithmetic coding, JPEG-LS, whatever libjpeg warns of, missing scans, "
        "more than 500 scans",
    ),
    Row(
        "TIFF",
        (".tif", ".tiff"),
        "1 to 16 bits, gray (either way around), RGB, alpha of every kind; strips, tiles, planes, either byte and bit "
        "order, BigTIFF; no packing, PackBits, LZW, Deflate, LZMA, ZSTD, JPEG and others; with and without predictor; "
        "profile, transfer function and gray response curve say which light",
        "floating-point and (given white) 32 bits to 16, palettes and 8-bit CMYK to RGB, colors multiplied by alpha",
        "several pages, pages in circles, stacks, volumes, signed and complex values, L*a*b*, LogLuv, YCbCr not "
        "packed as JPEG, channels of different bits or kinds, more than one extra channel, other inks than CMYK, "
        "black and white that are not at the ends (DotRange, ReferenceBlackWhite), TIFF/IT",
    ),
    Row("WebP", (".webp",), "8 bits, RGB, alpha", "", "animations"),
    Row("AVIF", (".avif",), "RGB, alpha; profile and nclx say which light", "10 and 12 bits to 8", "sequences, HDR"),
    Row(
        "JPEG XL",
        (".jxl",),
        "1 to 16 bits, gray, RGB, alpha; the header says which light",
        "floating-point to 16 bits, colors multiplied by alpha",
        "animations, HDR, color profiles, more than one extra channel",
    ),
    Row(
        "BMP",
        (".bmp",),
        "1, 4, 8, 16, 24 and 32 bits a pixel, run-length encoded or not; profile and gamma say which light",
        "palettes to RGB",
        "2 bits, unusual bit fields, JPEG and PNG inside",
    ),
    Row(
        "Netpbm",
        (".ppm", ".pgm", ".pnm"),
        "binary gray and color (P5, P6), white as the header says",
        "",
        "text (P1 to P3), bitmaps (P4), PAM, several images in one file",
    ),
    Row(
        "Camera raw",
        camera_raw.SUFFIXES,
        "what LibRaw reads, in the light that the model or study asks for",
        "to TIFF: 16 bits of linear light or 8 of sRGB, with Exif (no maker notes) and XMP of files built like a TIFF",
        "headerless dumps; mosaics where the model is of colors",
    ),
)


def table() -> str:
    """Return the table of docs/inputs.md."""
    lines = [
        "| format | suffixes | read | converted | refused | written with |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {' | '.join((row.title, _suffixes(row), row.read, row.converted or '-', row.refused or '-', _kept(row)))} |"
        for row in ROWS
    ]
    return "\n".join(lines)


def _suffixes(row: Row) -> str:
    return " ".join(f"`{suffix}`" for suffix in row.suffixes)


def _kept(row: Row) -> str:
    target = FORMATS.get(row.suffixes[0])
    if target is None:
        return "not written"
    depth, alpha = "16 bits" if target.deep else "8 bits", ["alpha"] if target.alpha else []
    sides = [f"up to {target.longest:,} pixels a side"] if target.longest else []
    loss = "without loss" if target.lossless else "with loss"
    return ", ".join([depth, *alpha, *(NAMES[name] for name in target.keeps), loss, *sides])
