"""MATLAB files of version 7.3, which are HDF5, by h5py; nothing is followed out of the file."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from typing import IO, Any

import numpy as np

from degrain.ingest.formats.archives import MIB
from degrain.ingest.formats.mat_v5 import MOST_VARIABLES, Variable

_NUMERIC = ("double", "single", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
_LONGEST_CLASS = 64


def read(stream: IO[bytes], choose: Callable[[list[Variable]], Variable]) -> np.ndarray:
    """Read the array that is chosen of those announced, in Fortran's order in memory.

    Raises:
        DataError: The file points to other files.
        Exception: Whatever h5py raises over damage; ValueError for what is found here.
    """
    import h5py

    with h5py.File(stream, "r") as file:
        datasets = {key: dataset for key in _keys(file) if (dataset := _numeric(file[key])) is not None}
        # NOTE: MATLAB's arrays run over their first axis first; HDF5 lists the axes the other way round.
        chosen = choose([Variable(key, it.shape[::-1], it.dtype) for key, it in datasets.items()])
        dataset = datasets[chosen.name]
        array = np.empty(dataset.shape, dataset.dtype)
        _fill(array, dataset)
    return array.astype(array.dtype.newbyteorder("="), copy=False).T


def _keys(file: Any) -> list[str]:
    """Return the names of the variables, without MATLAB's own #refs# and #subsystem#."""
    import h5py

    if len(file) > MOST_VARIABLES:
        raise ValueError(f"it has more than {MOST_VARIABLES} variables")
    links = [key for key in file if not isinstance(file.get(key, getlink=True), h5py.HardLink)]
    if links:
        raise ValueError(f"{links[0]!r} is a link to elsewhere, which is not followed")
    return [key for key in file if not key.startswith("#")]


def _numeric(item: Any) -> Any:
    """Return the item if it is a numeric array, or None: MATLAB keeps text and logical values as numbers, too."""
    import h5py

    if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "iuf" or not item.shape or item.dtype.itemsize > 8:
        return None
    if "MATLAB_empty" in item.attrs:
        return None
    if "MATLAB_class" in item.attrs:
        attribute = item.attrs.get_id("MATLAB_class")
        if attribute.shape != () or attribute.dtype.kind != "S" or attribute.dtype.itemsize > _LONGEST_CLASS:
            return None
        return item if item.attrs["MATLAB_class"].decode("ascii") in _NUMERIC else None
    return item


def _fill(target: np.ndarray, dataset: Any) -> None:
    import h5py

    plan = dataset.id.get_create_plist()
    layout = plan.get_layout()
    if layout == h5py.h5d.VIRTUAL or plan.get_external_count():
        raise ValueError("its values lie in another file, which is not followed")
    if layout == h5py.h5d.CHUNKED:
        _fill_by_chunks(target, dataset, plan)
        return
    if layout == h5py.h5d.CONTIGUOUS and dataset.id.get_storage_size() != target.nbytes:
        raise ValueError("its values are missing")
    dataset.read_direct(target)


def _fill_by_chunks(target: np.ndarray, dataset: Any, plan: Any) -> None:
    """Unpack chunk by chunk.

    NOTE: HDF5 would do so itself, but it unpacks what a chunk holds however large that is, returns zeros for a chunk
    that is missing, and lets only one thread of the process work at a time.
    """
    shape = plan.get_chunk()
    size = math.prod(shape) * target.itemsize
    if size > 2 * target.nbytes + MIB:
        raise ValueError("its chunks are larger than itself")
    filters = _filters(plan, target.itemsize, size)
    for place in _places(dataset, shape, size):
        skipped, data = dataset.id.read_direct_chunk(place)
        for number, undo in filters:
            data = data if skipped >> number & 1 else undo(data)
        if len(data) != size:
            raise ValueError("a chunk does not unpack to its size")
        inside = target[tuple(slice(start, start + step) for start, step in zip(place, shape, strict=True))]
        values = np.frombuffer(data, target.dtype).reshape(shape)
        inside[...] = values[tuple(slice(length) for length in inside.shape)]


def _places(dataset: Any, shape: tuple[int, ...], size: int) -> list[tuple[int, ...]]:
    """Return where the stored chunks start; all of the array must be there."""
    stored: dict[tuple[int, ...], int] = {}

    def note(chunk: Any) -> None:
        stored[chunk.chunk_offset] = chunk.size

    dataset.id.chunk_iter(note)
    expected = math.prod(-(-length // step) for length, step in zip(dataset.shape, shape, strict=True))
    if len(stored) != expected:
        raise ValueError(f"{len(stored)} of {expected} chunks are there")
    if max(stored.values()) > size + size // 100 + 1024:
        raise ValueError("a chunk is larger packed than unpacked")
    return list(stored)


def _filters(plan: Any, itemsize: int, size: int) -> list[tuple[int, Callable[[bytes], bytes]]]:
    """Return how to undo a dataset's filters, the last one first, with their numbers."""
    import h5py

    def inflate(data: bytes) -> bytes:
        decoder = zlib.decompressobj()
        values = decoder.decompress(data, size + 1)
        if not decoder.eof:
            raise ValueError("a chunk does not unpack to its size")
        return values

    def unshuffle(data: bytes) -> bytes:
        return np.frombuffer(data, np.uint8).reshape(itemsize, -1).T.tobytes()

    known: dict[int, Callable[[bytes], bytes]] = {h5py.h5z.FILTER_DEFLATE: inflate, h5py.h5z.FILTER_SHUFFLE: unshuffle}
    filters: list[tuple[int, Callable[[bytes], bytes]]] = []
    for number in reversed(range(plan.get_nfilters())):
        code, *_ = plan.get_filter(number)
        if code not in known:
            raise ValueError(f"it is packed by HDF5 filter {code}; only deflate and shuffle can be read")
        filters.append((number, known[code]))
    return filters
