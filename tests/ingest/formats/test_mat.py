"""MATLAB files of both versions: axes, types, damage, and what must not be followed or believed."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from degrain.errors import DataError
from degrain.ingest.formats import mat
from tests.ingest.formats import fixtures

MOSAIC = (fixtures.noise((40, 30), dtype=np.uint16, high=1024) / 1023).astype(np.float32)

WRITERS: dict[str, Callable[..., bytes]] = {
    "5, compressed": lambda **arrays: fixtures.mat_v5(True, **arrays),
    "5": lambda **arrays: fixtures.mat_v5(False, **arrays),
    "7.3": lambda **arrays: fixtures.mat_v73(arrays),
    "7.3, compressed": lambda **arrays: fixtures.mat_v73(arrays, chunks=True, compression=3),
    "7.3, shuffled": lambda **arrays: fixtures.mat_v73(arrays, chunks=True, compression=9, shuffle=True),
}
versions = pytest.mark.parametrize("version", WRITERS)


@contextmanager
def little_memory(limit: int = 4 << 20) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()


@versions
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(5, 7), (2, 3, 4, 5, 3)])
def test_arrays_come_back_with_their_axes_and_type(version: str, dtype: type, shape: tuple[int, ...]) -> None:
    array = fixtures.noise(shape).astype(dtype)
    again = mat.read(WRITERS[version](x=array))
    assert again.dtype == dtype
    assert np.array_equal(again, array)


@pytest.mark.parametrize("version", ["5", "5, compressed"])
def test_arrays_of_version_5_come_back_as_scipy_reads_them(version: str) -> None:
    import scipy.io

    data = WRITERS[version](x=MOSAIC, tiny=np.array([[1, 2]], np.uint8), name_of_some_length=fixtures.noise((3, 1, 5)))
    peer = scipy.io.loadmat(io.BytesIO(data))
    for name in ("x", "tiny", "name_of_some_length"):
        again = mat.read(data, variable=name)
        assert again.dtype == peer[name].dtype
        assert np.array_equal(again, peer[name])


@versions
def test_a_path_and_its_bytes_give_the_same(tmp_path: Path, version: str) -> None:
    data = WRITERS[version](x=MOSAIC)
    assert np.array_equal(mat.read(fixtures.write(tmp_path / "x.mat", data)), mat.read(data))


def test_chunks_that_do_not_divide_the_array_are_put_together() -> None:
    array = fixtures.noise((37, 29, 3), dtype=np.uint16, high=65536)
    data = fixtures.mat_v73({"x": array}, chunks=(2, 8, 16), compression=3)
    assert np.array_equal(mat.read(data), array)


def test_whole_numbers_that_matlab_shortened_get_their_type_back() -> None:
    zeros_and_ones = bytes([0, 1, 1, 0, 1, 0])
    data = fixtures.mat_v5_header() + fixtures.mat_v5_variable("x", (3, 2), zeros_and_ones, code=6, storage=2)
    again = mat.read(data)
    assert again.dtype == np.float64
    assert again.tolist() == [[0, 0], [1, 1], [1, 0]]


@versions
def test_one_of_several_arrays_must_be_named(version: str) -> None:
    data = WRITERS[version](x=MOSAIC, y=MOSAIC * 0)
    assert np.array_equal(mat.read(data, variable="x"), MOSAIC)
    with pytest.raises(DataError, match="holds several arrays to read; numeric are: x, y"):
        mat.read(data)
    with pytest.raises(DataError, match="holds no array named 'z'; numeric are: x, y"):
        mat.read(data, variable="z")


def test_text_structs_and_logical_arrays_are_no_images() -> None:
    data = fixtures.mat_v5(
        x=MOSAIC, text="abc", struct={"a": MOSAIC}, cells=np.array([1, "b"], object), mask=MOSAIC > 1
    )
    assert np.array_equal(mat.read(data), MOSAIC)
    with pytest.raises(DataError, match="holds no array"):
        mat.read(fixtures.mat_v5(text="abc"))


def with_hdf5(change: Callable[[h5py.File], Any]) -> bytes:
    """A file of version 7.3 to which something was done."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", userblock_size=512) as file:
        change(file)
    return fixtures.matlab_header(buffer.getvalue())


def test_text_cells_and_groups_of_version_73_are_no_images() -> None:
    def fill(file: h5py.File) -> None:
        file["x"] = MOSAIC.T
        file.create_group("#refs#")["hidden"] = MOSAIC
        file.create_group("struct")["field"] = MOSAIC
        file["text"] = np.frombuffer("abc".encode("utf-16-le"), np.uint16)[None]
        file["text"].attrs["MATLAB_class"] = np.bytes_("char")
        file["cells"] = np.array([[file["x"].ref]], h5py.ref_dtype)
        file["empty"] = np.array([0, 0], np.uint64)
        file["empty"].attrs["MATLAB_empty"] = 1
        file["scalar"] = 1.0

    assert np.array_equal(mat.read(with_hdf5(fill)), MOSAIC)


@pytest.mark.parametrize("link", [h5py.SoftLink("/hidden"), h5py.ExternalLink("secret.h5", "x")])
def test_links_in_a_file_are_not_followed(tmp_path: Path, link: Any) -> None:
    def fill(file: h5py.File) -> None:
        file["hidden"] = MOSAIC
        file["x"] = link

    with pytest.raises(DataError, match="'x' is a link to elsewhere, which is not followed"):
        mat.read(with_hdf5(fill))


def test_values_in_other_files_are_not_read(tmp_path: Path) -> None:
    secret = fixtures.write(tmp_path / "secret", MOSAIC.tobytes())
    with h5py.File(tmp_path / "peer.h5", "w") as peer:
        peer["x"] = MOSAIC
    layout = h5py.VirtualLayout((40, 30), np.float32)
    layout[:] = h5py.VirtualSource(tmp_path / "peer.h5", "x", (40, 30))
    for change in (
        lambda file: file.create_dataset("x", (40, 30), "f4", external=[(str(secret), 0, MOSAIC.nbytes)]),
        lambda file: file.create_virtual_dataset("x", layout),
    ):
        with pytest.raises(DataError, match="its values lie in another file, which is not followed"):
            mat.read(with_hdf5(change))


def test_missing_chunks_are_not_zeros() -> None:
    def fill(file: h5py.File) -> None:
        dataset = file.create_dataset("x", (40, 30), "f4", chunks=(10, 30))
        dataset[:20] = 1

    with pytest.raises(DataError, match="2 of 4 chunks are there"):
        mat.read(with_hdf5(fill))
    with pytest.raises(DataError, match="its values are missing"):
        mat.read(with_hdf5(lambda file: file.create_dataset("x", (40, 30), "f4")))


def test_a_chunk_that_unpacks_to_more_is_refused_within_its_size() -> None:
    def fill(file: h5py.File) -> None:
        dataset = file.create_dataset("x", (256, 256), "u1", chunks=(256, 256), compression=9)
        dataset.id.write_direct_chunk((0, 0), zlib.compress(bytes(60 << 20), 9))

    data = with_hdf5(fill)
    with little_memory(), pytest.raises(DataError, match="a chunk does not unpack to its size"):
        mat.read(data)


def test_other_filters_are_refused() -> None:
    with pytest.raises(DataError, match="packed by HDF5 filter"):
        mat.read(fixtures.mat_v73({"x": MOSAIC}, chunks=True, compression="lzf"))


def test_a_header_of_terabytes_is_refused_without_taking_memory() -> None:
    def fill(file: h5py.File) -> None:
        file.create_dataset("x", (1_000_000, 1_000_000), "f4", chunks=(1000, 1000))

    lies = {
        "says that it holds 4000000000000 bytes": with_hdf5(fill),
        "do not fit the shape": fixtures.mat_v5_header() + fixtures.mat_v5_variable("x", (10**6, 10**6), b"x" * 8),
        "says that it holds 3221225472 bytes": fixtures.mat_v5_header() + lying_v5(3 << 20, 1 << 10),
    }
    for reason, data in lies.items():
        with little_memory(), pytest.raises(DataError, match=reason):
            mat.read(data)


def lying_v5(*shape: int) -> bytes:
    """A compressed variable that announces uint8 values which are not there."""
    size = int(np.prod(shape))
    head = fixtures.mat_v5_variable("x", shape, b"", code=9, storage=2)[:-8] + struct.pack("<2I", 2, size)
    packed = zlib.compress(head)
    return struct.pack("<2I", 15, len(packed)) + packed


def test_more_values_than_announced_are_refused_without_unpacking_them() -> None:
    head = fixtures.mat_v5_variable("x", (10, 100), bytes(1000), code=9, storage=2)
    packed = zlib.compress(head + bytes(200 << 20), 9)
    data = fixtures.mat_v5_header() + struct.pack("<2I", 15, len(packed)) + packed
    with little_memory(8 << 20), pytest.raises(DataError, match="more follows its values"):
        mat.read(data)


def test_values_that_are_not_there_are_an_error() -> None:
    with pytest.raises(DataError, match="damaged"):
        mat.read(fixtures.mat_v5_header() + lying_v5(100, 10))


@versions
def test_a_limit_is_kept(version: str) -> None:
    data = WRITERS[version](x=MOSAIC)
    assert mat.read(data, limit=4800).nbytes == 4800
    with pytest.raises(DataError, match="says that it holds 4800 bytes; more than 4799 are refused"):
        mat.read(data, limit=4799)


@versions
def test_a_truncated_file_is_refused_wherever_it_ends(version: str) -> None:
    for data in fixtures.truncations(WRITERS[version](x=MOSAIC)):
        with pytest.raises(DataError, match=r"x\.mat (is|holds no)"):
            mat.read(data, "x.mat")


@pytest.mark.parametrize("version", ["5, compressed", "7.3, compressed"])
def test_a_changed_byte_of_packed_values_never_gives_others(version: str) -> None:
    whole = WRITERS[version](x=MOSAIC)
    start = 300 if version.startswith("5") else len(whole) - 3000  # HDF5 guards values, not what it says of them
    noticed = 0
    for data in fixtures.flips(whole, 150, start):
        try:
            assert np.array_equal(mat.read(data, "x.mat"), MOSAIC)
        except DataError:
            noticed += 1
    assert noticed > 100


@versions
def test_damage_anywhere_is_an_error_of_one_line_never_a_crash(version: str) -> None:
    for data in fixtures.flips(WRITERS[version](x=MOSAIC), 300, seed=3):
        try:
            mat.read(data, "x.mat")
        except DataError as error:
            assert str(error).startswith("x.mat ")  # noqa: PT017
            assert "\n" not in str(error)  # noqa: PT017


@pytest.mark.parametrize(
    "data",
    [b"", b"MATLAB", b"hello" * 99, fixtures.mat_v73({"x": MOSAIC}, userblock=False), b"MATLAB".ljust(124) + b"\1\0MI"],
    ids=["empty", "cut", "text", "plain HDF5", "big-endian"],
)
def test_what_is_no_matlab_file_is_refused(data: bytes) -> None:
    with pytest.raises(DataError, match=r"x\.mat is no MATLAB file of version 5 or 7\.3"):
        mat.read(data, "x.mat")


def test_a_missing_file_is_an_error_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"q\.mat does not exist"):
        mat.read(tmp_path / "q.mat")


# --- pictures --------------------------------------------------------------------------------------------------------


def test_values_from_0_to_1_become_16_bits() -> None:
    values = np.array([[0, 1, 0.5], [1 / 65535, 0.49999 / 65535, 65534.6 / 65535]])
    for dtype in (np.float32, np.float64):
        picture = mat.picture(values.astype(dtype), None, "x")
        assert picture.pixels.dtype == np.uint16
        assert picture.pixels[..., 0].tolist() == [[0, 65535, 32768], [1, 0, 65535]]


def test_every_16_bit_value_survives_as_a_fraction() -> None:
    levels = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    assert np.array_equal(mat.picture((levels / 65535).astype(np.float32), None, "x").pixels[..., 0], levels)


def test_a_mosaic_is_packed_when_its_pattern_is_told() -> None:
    pixels = mat.picture(np.array([[1, 2], [3, 4]], np.uint8), "bggr", "x").pixels
    assert pixels.tolist() == [[[4, 3, 2, 1]]]


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.array([[0.0, 1.001]]), r"holds values from 0 to 1\.001; those of raw images lie in \[0, 1\]"),
        (np.array([[-0.25, 1.0]]), r"holds values from -0\.25 to 1"),
        (np.array([[0.0, np.nan]]), "holds NaN"),
        (np.array([[0.0, np.inf]]), "holds values from 0 to inf"),
        (np.ones((4, 4), np.int16), "holds int16 values"),
        (np.ones((4, 4, 2), np.uint8), r"holds an array of shape \(4, 4, 2\), not an image"),
        (np.ones(4, np.uint8), "not an image"),
    ],
)
def test_what_is_no_image_is_refused(array: np.ndarray, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        mat.picture(array, None, "x")


def test_bent_headers_of_plain_arrays_are_an_error_or_an_array_never_a_crash() -> None:
    whole = fixtures.mat_v5(False, x=MOSAIC, y=1)
    for bent in fixtures.flips(whole[:260], 400, 120):
        try:
            found = mat.read(bent + whole[260:], "x.mat", variable="x")
        except DataError as error:
            assert "\n" not in str(error)  # noqa: PT017
        else:
            assert found.size * found.itemsize <= 2 * MOSAIC.nbytes
