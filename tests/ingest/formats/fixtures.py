"""Files as data sets publish them, made by the tests: whole ones, and ones that somebody bent."""

from __future__ import annotations

import gzip
import io
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image

RNG_SEED = 20180618
PATTERNS = ("rggb", "grbg", "gbrg", "bggr")


def noise(shape: Sequence[int], seed: int = RNG_SEED, dtype: Any = np.uint8, high: int = 256) -> np.ndarray:
    """Random values: nothing in them repeats, so that a mix-up of axes, rows or channels shows."""
    return np.random.default_rng(seed).integers(0, high, tuple(shape)).astype(dtype)


def encoded(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    """An image file's bytes, by Pillow."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


# --- damage ----------------------------------------------------------------------------------------------------------


def truncations(data: bytes) -> Iterator[bytes]:
    """The beginning of a file, up to several places."""
    for share in (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.97):
        yield data[: int(len(data) * share)]
    yield data[:-1]


def flips(data: bytes, count: int, start: int = 0, seed: int = RNG_SEED) -> Iterator[bytes]:
    """A file with one byte changed."""
    draw = np.random.default_rng(seed)
    for place in draw.integers(start, len(data), count):
        bent = bytearray(data)
        bent[place] ^= int(draw.integers(1, 256))
        yield bytes(bent)


# --- zip -------------------------------------------------------------------------------------------------------------


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, comment: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.comment = comment
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def with_mode(name: str, mode: int, data: bytes = b"/etc/passwd") -> bytes:
    """A zip with a member of another kind: stat.S_IFLNK and the like."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo(name)
        info.create_system = 3
        info.external_attr = (mode | 0o644) << 16
        archive.writestr(info, data)
    return buffer.getvalue()


def link_in_zip() -> bytes:
    return with_mode("link.png", stat.S_IFLNK)


def raw_zip(*entries: tuple[str, dict[str, Any]], large: bool = False, count: int | None = None) -> bytes:
    """A zip written field by field.

    Each entry is a name and what differs from a truthful stored member: data, packed, size, crc, flags, method, offset,
    disk, local_name.
    """
    body, table = b"", b""
    for name, change in entries:
        raw = name.encode()
        data = change.get("data", b"x" * 10)
        packed, size = change.get("packed", len(data)), change.get("size", len(data))
        crc, flags = change.get("crc", zlib.crc32(data)), change.get("flags", 0x800)
        method, offset = change.get("method", 0), change.get("offset", len(body))
        local = change.get("local_name", name).encode()
        sizes = (0xFFFFFFFF, 0xFFFFFFFF) if large else (packed, size)
        extra = struct.pack("<2H3Q", 1, 24, size, packed, offset) if large else b""
        if "offset" not in change:
            body += struct.pack("<4s5H3L2H", b"PK\3\4", 45, flags, method, 0, 33, crc, packed, size, len(local), 0)
            body += local + data
        table += struct.pack("<4s6H3L5H2L", b"PK\1\2", 0x0314, 45, flags, method, 0, 33, crc, *sizes, len(raw),
                             len(extra), 0, change.get("disk", 0), 0, 0, 0xFFFFFFFF if large else offset)  # fmt: skip
        table += raw + extra
    number = len(entries) if count is None else count
    end = b""
    if large:
        end = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, number, number, len(table), len(body))
        end += struct.pack("<4sLQL", b"PK\6\7", 0, len(body) + len(table), 1)
    fields = (0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF) if large else (number, number, len(table), len(body))
    return body + table + end + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, *fields, 0)


def fifield_zip(kernel: int = 1 << 20, copies: int = 50) -> bytes:
    """A bomb after Fifield 2019, "A better zip bomb", in its plain form: all entries share one kernel."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = deflate.compress(bytes(kernel)) + deflate.flush()
    change = {"packed": len(packed), "size": kernel, "crc": zlib.crc32(bytes(kernel)), "method": 8}
    return raw_zip(("0", {**change, "data": packed}), *((f"{i}", {**change, "offset": 0}) for i in range(1, copies)))


# --- idx and CIFAR ---------------------------------------------------------------------------------------------------


def idx(values: np.ndarray, shape: Sequence[int] | None = None, kind: int = 8) -> bytes:
    """An idx file; `shape` may lie."""
    shape = values.shape if shape is None else shape
    return struct.pack(f">2B2B{len(shape)}I", 0, 0, kind, len(shape), *shape) + values.tobytes()


def gz(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def cifar_batch(images: int, seed: int = RNG_SEED) -> tuple[bytes, np.ndarray, np.ndarray]:
    """A binary batch, its labels, and its images as (images, 32, 32, 3)."""
    pixels, labels = noise((images, 32, 32, 3), seed), noise((images,), seed, high=10)
    records = [bytes([label]) + image.transpose(2, 0, 1).tobytes() for label, image in zip(labels, pixels, strict=True)]
    return b"".join(records), labels, pixels


def tarred(members: dict[str, bytes | tarfile.TarInfo], packed: bool = True, form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, data in members.items():
            info = data if isinstance(data, tarfile.TarInfo) else tarfile.TarInfo(name)
            if isinstance(data, bytes):
                info.size = len(data)
            archive.addfile(info, io.BytesIO(data) if isinstance(data, bytes) else None)
    return gz(buffer.getvalue()) if packed else buffer.getvalue()


def tar_link(kind: bytes, target: str = "/etc/passwd") -> tarfile.TarInfo:
    info = tarfile.TarInfo("link.bin")
    info.type, info.linkname = kind, target
    return info


# --- MATLAB ----------------------------------------------------------------------------------------------------------


def mat_v5(compressed: bool = True, **arrays: Any) -> bytes:
    import scipy.io

    buffer = io.BytesIO()
    scipy.io.savemat(buffer, arrays, do_compression=compressed)
    return buffer.getvalue()


def mat_v5_variable(name: str, shape: Sequence[int], data: bytes, code: int = 9, storage: int = 2) -> bytes:
    """One variable as MATLAB writes it, uncompressed; shape, class (code) and storage may lie."""

    def element(kind: int, contents: bytes) -> bytes:
        return struct.pack("<2I", kind, len(contents)) + contents + bytes(-len(contents) % 8)

    body = element(6, struct.pack("<2I", code, 0)) + element(5, struct.pack(f"<{len(shape)}i", *shape))
    return element(14, body + element(1, name.encode()) + element(storage, data))


def mat_v5_header() -> bytes:
    return b"MATLAB 5.0 MAT-file, by hand".ljust(124) + b"\x00\x01IM"


def mat_v73(arrays: dict[str, np.ndarray], userblock: bool = True, **options: Any) -> bytes:
    """HDF5 the way MATLAB writes it: axes reversed, MATLAB_class, and 512 bytes of header in front."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", userblock_size=512 if userblock else 0) as file:
        for name, array in arrays.items():
            dataset = file.create_dataset(name, data=array.T, **options)
            kind = {"f4": "single", "f8": "double"}.get(array.dtype.str[1:], array.dtype.name)
            dataset.attrs["MATLAB_class"] = np.bytes_(kind)
    return matlab_header(buffer.getvalue()) if userblock else buffer.getvalue()


def matlab_header(data: bytes) -> bytes:
    """Fill the 512 bytes in front of an HDF5 file, which h5py leaves empty."""
    return b"MATLAB 7.3 MAT-file, by h5py".ljust(124) + b"\x00\x02IM" + bytes(384) + data[512:]


# --- DNG -------------------------------------------------------------------------------------------------------------


_BYTE, _ASCII, _SHORT, _LONG, _RATIONAL, _SRATIONAL = 1, 2, 3, 4, 5, 10
_FORMATS = {_BYTE: "B", _ASCII: "B", _SHORT: "H", _LONG: "I", _RATIONAL: "I", _SRATIONAL: "i"}


def dng(
    mosaic: np.ndarray,
    pattern: Sequence[int] | str = "rggb",
    black: Sequence[int] = (0,),
    white: int = 65535,
    cell: tuple[int, int] = (2, 2),
    active: tuple[int, int, int, int] | None = None,
    neutral: Sequence[float] = (0.5, 1.0, 0.8),
    orientation: int = 1,
    photometric: int = 32803,
    change: dict[int, tuple[int, Sequence[int]]] | None = None,
) -> bytes:
    """A DNG with one uncompressed 16-bit strip, which comes last in the file.

    Args:
        mosaic: uint16 (height, width).
        pattern: Colors of the cell, row by row, as letters or numbers (0, 1, 2: red, green, blue).
        black: One black level, or one for each place of a 2x2 cell, row by row.
        white: The white level.
        cell: Height and width of the pattern's cell.
        active: Top, left, bottom, right of the visible area; the pattern starts at its corner.
        neutral: AsShotNeutral.
        orientation: Exif's number.
        photometric: 32803 for a mosaic, 34892 for linear raw (which is monochrome with one channel).
        change: Tags to add or replace: number -> (type, values).
    """
    height, width = mosaic.shape
    colors = ["rgb".index(letter) for letter in pattern] if isinstance(pattern, str) else list(pattern)
    ones = [n for i in range(9) for n in ((10_000, 10_000) if i % 4 == 0 else (0, 10_000))]
    tags: dict[int, tuple[int, Sequence[int]]] = {
        254: (_LONG, [0]),
        256: (_LONG, [width]),
        257: (_LONG, [height]),
        258: (_SHORT, [16]),
        259: (_SHORT, [1]),
        262: (_SHORT, [photometric]),
        271: (_ASCII, b"Degrain\0"),
        272: (_ASCII, b"Test camera\0"),
        273: (_LONG, [0]),
        274: (_SHORT, [orientation]),
        277: (_SHORT, [1]),
        278: (_LONG, [height]),
        279: (_LONG, [height * width * 2]),
        284: (_SHORT, [1]),
        33421: (_SHORT, list(cell)),
        33422: (_BYTE, colors),
        33434: (_RATIONAL, [1, 60]),
        34855: (_SHORT, [800]),
        50706: (_BYTE, [1, 4, 0, 0]),
        50707: (_BYTE, [1, 1, 0, 0]),
        50708: (_ASCII, b"Degrain Test camera\0"),
        50710: (_BYTE, [0, 1, 2]),
        50711: (_SHORT, [1]),
        50713: (_SHORT, [2, 2] if len(black) == 4 else [1, 1]),
        50714: (_LONG, list(black)),
        50717: (_LONG, [white]),
        50721: (_SRATIONAL, ones),
        50728: (_RATIONAL, [n for value in neutral for n in (round(value * 10_000), 10_000)]),
        50778: (_SHORT, [21]),
        50829: (_LONG, list(active or (0, 0, height, width))),
    }
    if photometric != 32803:
        tags = {tag: value for tag, value in tags.items() if tag not in (33421, 33422, 50710, 50711)}
    tags |= change or {}
    place = 8 + 2 + 12 * len(tags) + 4
    extra = b""
    entries = b""
    sizes = {tag: struct.calcsize(f"<{len(v)}{_FORMATS[k]}") for tag, (k, v) in tags.items()}
    strip = place + sum(size + size % 2 for size in sizes.values() if size > 4)
    if 273 not in (change or {}):
        tags[273] = (_LONG, [strip])
    for tag, (kind, values) in sorted(tags.items()):
        data = struct.pack(f"<{len(values)}{_FORMATS[kind]}", *values)
        count = len(values) // 2 if kind in (_RATIONAL, _SRATIONAL) else len(values)
        at = struct.pack("<I", place + len(extra)) if len(data) > 4 else data.ljust(4, b"\0")
        extra += data + bytes(len(data) % 2) if len(data) > 4 else b""
        entries += struct.pack("<2HI", tag, kind, count) + at
    head = struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<H", len(tags)) + entries + bytes(4)
    return head + extra + mosaic.astype("<u2").tobytes()
