"""Many images of one size in one file: MNIST's idx files and CIFAR-10's binary batches."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from degrain.errors import DataError
from degrain.ingest.formats import archives, folders
from degrain.ingest.formats.archives import LIMITS, Limits

CIFAR_RECORD = 1 + 3 * 32 * 32
CIFAR_CLASSES = 10
_UINT8 = 8


def idx_images(path: Path, limits: Limits = LIMITS) -> np.ndarray:
    """Read an idx3 file, gzipped or not.

    Returns:
        uint8 (images, height, width), read-only.

    Raises:
        DataError: It is missing, damaged, truncated, empty, not of this format, or too large.
    """
    return _idx(path, 3, limits)


def idx_labels(path: Path, limits: Limits = LIMITS) -> np.ndarray:
    """Read an idx1 file, gzipped or not: uint8 (labels,). Errors are those of `idx_images`."""
    return _idx(path, 1, limits)


def _idx(path: Path, dimensions: int, limits: Limits) -> np.ndarray:
    with archives.unpacked(path) as file:
        shape = _idx_shape(file.read(4 + 4 * dimensions), dimensions, path)
        if 0 in shape:
            raise DataError(f"{path} is empty: its shape is {' x '.join(map(str, shape))}")
        if math.prod(shape) > limits.memory:
            raise DataError(
                f"{path} says that it holds {math.prod(shape)} bytes; more than {limits.memory} are refused"
            )
        values = np.empty(shape, np.uint8)
        _fill(file, values.reshape(-1), path)
        if file.read(1):
            raise DataError(f"{path} is damaged: it is longer than its header says")
    values.flags.writeable = False
    return values


def _idx_shape(header: bytes, dimensions: int, path: Path) -> tuple[int, ...]:
    if header[:2] != b"\0\0" or header[3:4] != bytes([dimensions]):
        kind = "images" if dimensions == 3 else "labels"
        raise DataError(f"{path} is no idx file of {kind} (idx{dimensions})")
    if header[2] != _UINT8:
        raise DataError(f"{path} holds values of idx type {header[2]}; only 8-bit ones can be read")
    if len(header) < 4 + 4 * dimensions:
        raise DataError(f"{path} is truncated: its header is not whole")
    return struct.unpack(f">{dimensions}I", header[4:])


def _fill(file: IO[bytes], target: np.ndarray, path: Path) -> None:
    """Read until the target is full."""
    done = 0
    while done < len(target):
        count = file.readinto(target[done : done + archives.MIB])  # type: ignore[attr-defined]
        if not count:
            raise DataError(f"{path} is truncated: {done} of {len(target)} bytes are there")
        done += count


@dataclass(frozen=True)
class CifarBatch:
    """One binary batch of CIFAR-10.

    Attributes:
        labels: uint8 (images,), 0..9.
        planes: uint8 (images, 3, 32, 32): red, green, blue. Both are read-only.
    """

    labels: np.ndarray
    planes: np.ndarray


def cifar_batches(path: Path, limits: Limits = LIMITS) -> dict[str, CifarBatch]:
    """Read all `*.bin` members of `cifar-10-binary.tar.gz` in one pass; a tar file has no other way.

    How many images there are beside them is said.

    Returns:
        Batches by the name of their member.

    Raises:
        DataError: The file is missing, damaged, truncated, refused, or holds no such batch.
    """
    batches, others = {}, []
    for name, data in archives.tar_members(path, limits):
        if name.endswith(".bin"):
            batches[name] = _cifar(data, f"{path}::{name}")
        elif name.lower().endswith(folders.SUFFIXES):
            others.append(name)
    folders.warn_of_others(str(path), others)
    if not batches:
        raise DataError(f"{path} holds no CIFAR-10 batch (*.bin); take the binary version, cifar-10-binary.tar.gz")
    return batches


def _cifar(data: bytes, name: str) -> CifarBatch:
    if not data or len(data) % CIFAR_RECORD:
        raise DataError(f"{name} is no CIFAR-10 batch: {len(data)} bytes are not records of {CIFAR_RECORD}")
    records = np.frombuffer(data, np.uint8).reshape(-1, CIFAR_RECORD)
    labels = records[:, 0]
    if labels.max() >= CIFAR_CLASSES:
        raise DataError(f"{name} is no CIFAR-10 batch: it has a label {labels.max()}")
    return CifarBatch(labels, records[:, 1:].reshape(-1, 3, 32, 32))
