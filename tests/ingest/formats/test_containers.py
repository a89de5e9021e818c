"""Images by name out of whatever holds them: the same pixels by every way, and one line of error for every fault."""

from __future__ import annotations

import random
import tracemalloc
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from degrain.errors import DataError
from degrain.ingest.formats import camera_raw, mat, png
from degrain.ingest.formats.containers import Containers
from degrain.ingest.formats.picture import Picture
from degrain.ingest.formats.stacks import idx_labels
from tests.conftest import MIRROR
from tests.ingest.formats import fixtures

MNIST = MIRROR / "mnist"
FER = MIRROR / "kaggle" / "msambare"

GRAY = fixtures.noise((20, 30))
COLOR = fixtures.noise((20, 30, 3), seed=1)
IDX = fixtures.noise((50, 9, 7), seed=2)
LABELS = fixtures.noise((50,), seed=2, high=10)
BATCH, BATCH_LABELS, BATCH_IMAGES = fixtures.cifar_batch(6)
BLOCKS = fixtures.noise((4, 3, 10, 12, 3), seed=3)
RAW_BLOCKS = fixtures.noise((4, 3, 10, 12), seed=4, dtype=np.uint16, high=65536)
MOSAIC = fixtures.noise((20, 30), seed=5, dtype=np.uint16, high=65536)
DNG = fixtures.dng(fixtures.noise((64, 80), dtype=np.uint16, high=1000), white=1023)
BIN = "cifar-10-batches-bin/data_batch_1.bin"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of all kinds."""
    folder = tmp_path_factory.mktemp("data")
    raw_mat = fixtures.mat_v73({"x": (MOSAIC / 65535).astype(np.float32)}, chunks=True, compression=3)
    files = {
        "a/gray.png": fixtures.encoded(GRAY),
        "a/color.JPG": fixtures.encoded(COLOR, "JPEG"),
        "a/color.tif": fixtures.encoded(COLOR, "TIFF"),
        "x.dng": DNG,
        "x.MAT": raw_mat,
        "fer.zip": fixtures.zipped(
            {
                "train/angry/gray.png": fixtures.encoded(GRAY),
                "train/angry/color.PNG": fixtures.encoded(COLOR),
                "train/readme.txt": b"hello",
                "Data/1/NOISY_RAW_010.MAT": raw_mat,
                "Data/1/x.dng": DNG,
            }
        ),
        "images-idx3-ubyte.gz": fixtures.gz(fixtures.idx(IDX)),
        "images.idx3-ubyte": fixtures.idx(IDX),
        "labels-idx1-ubyte.gz": fixtures.gz(fixtures.idx(LABELS)),
        "cifar.tar.gz": fixtures.tarred({BIN: BATCH, "cifar-10-batches-bin/readme.html": b"<html>"}),
        "blocks.mat": fixtures.mat_v5(ValidationNoisyBlocksSrgb=BLOCKS),
        "rawblocks.mat": fixtures.mat_v5(Blocks=(RAW_BLOCKS / 65535).astype(np.float32)),
        "blocks73.mat": fixtures.mat_v73({"Blocks": BLOCKS}, chunks=True, compression=3),
        "hostile.zip": fixtures.raw_zip(("../x.png", {})),
    }
    for name, data in files.items():
        fixtures.write(folder / name, data)
    return folder


@pytest.fixture
def containers(folder: Path) -> Iterator[Containers]:
    with Containers(folder) as containers:
        yield containers


IMAGES = {
    "a/gray.png": GRAY[..., None],
    "a/color.tif": COLOR,
    "x.MAT": MOSAIC[..., None],
    "fer.zip::train/angry/gray.png": GRAY[..., None],
    "fer.zip::train/angry/color.PNG": COLOR,
    "fer.zip::Data/1/NOISY_RAW_010.MAT": MOSAIC[..., None],
    "images-idx3-ubyte.gz::0": IDX[0, ..., None],
    "images-idx3-ubyte.gz::49": IDX[49, ..., None],
    "images.idx3-ubyte::17": IDX[17, ..., None],
    f"cifar.tar.gz::{BIN}/0": BATCH_IMAGES[0],
    f"cifar.tar.gz::{BIN}/5": BATCH_IMAGES[5],
    "blocks.mat::0/0": BLOCKS[0, 0],
    "blocks.mat::3/1": BLOCKS[3, 1],
    "blocks73.mat::3/1": BLOCKS[3, 1],
    "rawblocks.mat::2/0": RAW_BLOCKS[2, 0][..., None],
}


@pytest.mark.parametrize("locator", IMAGES)
def test_every_kind_of_locator_gives_its_image(containers: Containers, locator: str) -> None:
    pixels = containers.read(locator).pixels
    assert pixels.dtype == IMAGES[locator].dtype
    assert np.array_equal(pixels, IMAGES[locator])
    assert pixels.flags.c_contiguous


def test_a_jpeg_keeps_its_size_and_colors(containers: Containers) -> None:
    pixels = containers.read("a/color.JPG").pixels
    assert pixels.shape == COLOR.shape
    assert np.corrcoef(pixels[..., 0].ravel(), COLOR[..., 0].ravel())[0, 1] > 0.5


@pytest.mark.parametrize("locator", ["x.MAT::grbg", "fer.zip::Data/1/NOISY_RAW_010.MAT::grbg"])
def test_a_mosaic_is_packed_when_the_locator_says_its_pattern(containers: Containers, locator: str) -> None:
    assert np.array_equal(containers.read(locator).pixels, camera_raw.pack_bayer(MOSAIC, "grbg"))


def test_a_block_of_mosaics_is_packed_too(containers: Containers) -> None:
    expected = camera_raw.pack_bayer(RAW_BLOCKS[1, 2], "bggr")
    assert np.array_equal(containers.read("rawblocks.mat::1/2::bggr").pixels, expected)


@pytest.mark.parametrize("mode", ["srgb", "linear", "bayer"])
@pytest.mark.parametrize("locator", ["x.dng", "fer.zip::Data/1/x.dng"])
def test_camera_raw_files_become_what_was_asked_for(folder: Path, mode: camera_raw.Mode, locator: str) -> None:
    with Containers(folder, raw=mode) as containers:
        picture = containers.read(locator)
    expected = camera_raw.read(DNG, mode)
    assert np.array_equal(picture.pixels, expected.pixels)
    assert picture.metadata == expected.metadata


def test_names_and_counts_say_what_there_is(containers: Containers) -> None:
    assert "Data/1/x.dng" in containers.names("fer.zip")
    assert len(containers.names("fer.zip")) == 5
    assert containers.names("cifar.tar.gz") == [BIN]
    assert containers.count("images-idx3-ubyte.gz") == 50
    assert containers.count(f"cifar.tar.gz::{BIN}") == 6
    assert containers.count("blocks.mat") == (4, 3)
    with pytest.raises(DataError, match=r"blocks\.mat is no archive"):
        containers.names("blocks.mat")


def test_labels_come_with_the_images(folder: Path, containers: Containers) -> None:
    assert np.array_equal(containers.labels("labels-idx1-ubyte.gz"), LABELS)
    assert np.array_equal(idx_labels(folder / "labels-idx1-ubyte.gz"), LABELS)
    assert np.array_equal(containers.labels(f"cifar.tar.gz::{BIN}"), BATCH_LABELS)
    with pytest.raises(DataError, match="no idx file of labels"):
        containers.labels("images-idx3-ubyte.gz")


FAULTS = {
    "q.png": "q.png does not exist",
    "q.zip::x.png": "q.zip does not exist",
    "q.gz::0": "q.gz does not exist",
    "q.tar.gz::a.bin/0": "q.tar.gz does not exist",
    "q.mat::0/0": "q.mat does not exist",
    "../secret.png": "leaves its folder",
    "/etc/passwd": "is absolute",
    "../x.zip::x.png": "leaves its folder",
    "a": "cannot read",
    "fer.zip::q.png": "fer.zip has no member 'q.png'",
    "fer.zip::train/readme.txt": "fer.zip::train/readme.txt is not an image of a supported format",
    "hostile.zip::../x.png": "hostile.zip is refused: its member '../x.png' leaves its folder",
    "images-idx3-ubyte.gz::50": "images-idx3-ubyte.gz::50 does not exist: there are 50 images",
    "images-idx3-ubyte.gz::-1": "must end with the number of an image, as in 0",
    "images-idx3-ubyte.gz::x": "must end with the number of an image",
    "images-idx3-ubyte.gz::1/2": "must end with the number of an image",
    "images-idx3-ubyte.gz": "is not an image of a supported format",
    "labels-idx1-ubyte.gz::0": "is no idx file of images (idx3)",
    "a/gray.png::0": "is no idx file of images",
    "x.dng::0": "is no idx file of images",
    "x.dng::bggr": "only mosaics in MATLAB files",
    "blocks.mat::4/0": "blocks.mat::4/0 does not exist: there are 4 x 3 images",
    "blocks.mat::1": "must end with the number of an image, as in 0/0",
    "blocks.mat::1/1::bggr": "it is no mosaic",
    "blocks.mat": "holds an array of shape (4, 3, 10, 12, 3), not an image",
    "x.MAT::0/0": "not rows x columns of images",
    f"cifar.tar.gz::{BIN}/6": "does not exist: there are 6 images",
    "cifar.tar.gz::other.bin/0": "cifar.tar.gz has no batch 'other.bin'",
}


@pytest.mark.parametrize("locator", FAULTS)
def test_a_fault_is_one_line_that_names_file_and_member(containers: Containers, locator: str) -> None:
    with pytest.raises(DataError) as error:
        containers.read(locator)
    assert FAULTS[locator] in str(error.value)
    assert "\n" not in str(error.value)


def test_many_are_read_and_a_fault_takes_the_place_of_its_image(containers: Containers) -> None:
    wanted = [*IMAGES, *FAULTS, "a/gray.png"]
    found = containers.read_many(wanted)
    assert len(found) == len(wanted)
    for locator, picture in zip(wanted, found, strict=True):
        assert isinstance(picture, DataError if locator in FAULTS else Picture)


def test_an_error_that_nobody_foresaw_takes_the_place_of_its_image(
    containers: Containers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Picture:
        raise UnicodeDecodeError("ascii", b"\xff", 0, 1, "ordinal\nnot in range")

    for module, function in ((png, "decode"), (camera_raw, "read"), (mat, "picture")):
        monkeypatch.setattr(module, function, broken)
    for locator in ("a/gray.png", "x.dng", "x.MAT"):
        (found,) = containers.read_many([locator])
        assert isinstance(found, DataError)
        assert f"{locator} cannot be read: UnicodeDecodeError: " in str(found)
        assert "\n" not in str(found)


def test_many_threads_read_what_one_reads(folder: Path, containers: Containers) -> None:
    wanted = list(IMAGES) * 15
    random.Random(0).shuffle(wanted)
    with Containers(folder) as fresh, ThreadPoolExecutor(8) as pool:
        for locator, picture in zip(wanted, pool.map(fresh.read, wanted), strict=True):
            assert np.array_equal(picture.pixels, IMAGES[locator])


def test_a_stack_is_decoded_once_however_many_threads_ask_first(folder: Path) -> None:
    with Containers(folder) as containers, ThreadPoolExecutor(8) as pool:
        first, *others = [p.pixels for p in pool.map(containers.read, ["images-idx3-ubyte.gz::7"] * 32)]
    assert all(np.shares_memory(first, other) for other in others)
    assert not first.flags.writeable


def test_a_refused_archive_stays_refused_and_errors_do_not_pile_up(containers: Containers) -> None:
    first, *others = containers.read_many(["hostile.zip::x.png"] * 50)
    assert isinstance(first, DataError)
    assert {str(error) for error in others} == {str(first)}
    assert len({id(error) for error in others}) == 49


def test_what_was_closed_is_opened_anew(folder: Path) -> None:
    containers = Containers(folder)
    for _ in range(2):
        assert containers.count("images-idx3-ubyte.gz") == 50
        assert np.array_equal(containers.read("fer.zip::train/angry/color.PNG").pixels, COLOR)
        containers.close()


def test_nothing_is_written_beside_the_data(folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    with Containers(folder) as containers:
        containers.read_many([*IMAGES, *FAULTS])
    assert sorted(folder.rglob("*")) == before


# --- damaged stacks --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (fixtures.idx(IDX)[:-1], "is truncated: 3149 of 3150 bytes are there"),
        (fixtures.idx(IDX) + b"x", "is damaged: it is longer than its header says"),
        (fixtures.idx(IDX)[:7], "is truncated: its header is not whole"),
        (fixtures.idx(IDX, kind=13), "holds values of idx type 13"),
        (b"hello", "is no idx file of images"),
        (b"", "is no idx file of images"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_an_idx_file_that_contradicts_its_header_is_refused(
    tmp_path: Path, data: bytes, reason: str, packed: bool
) -> None:
    fixtures.write(tmp_path / "x", fixtures.gz(data) if packed else data)
    with pytest.raises(DataError, match=rf"x {reason}"), Containers(tmp_path) as containers:
        containers.read("x::0")


@pytest.mark.parametrize("packed", [False, True])
def test_an_idx_header_of_terabytes_is_refused_without_taking_memory(tmp_path: Path, packed: bool) -> None:
    data = fixtures.idx(IDX, shape=(4_000_000_000, 1000, 1000))
    fixtures.write(tmp_path / "x", fixtures.gz(data) if packed else data)
    tracemalloc.start()
    with (
        Containers(tmp_path) as containers,
        pytest.raises(DataError, match="says that it holds 4000000000000000 bytes"),
    ):
        containers.read("x::0")
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_a_packed_stack_that_unpacks_to_more_is_stopped_at_its_announced_size(tmp_path: Path) -> None:
    fixtures.write(tmp_path / "x.gz", fixtures.gz(fixtures.idx(IDX) + bytes(64 << 20)))
    tracemalloc.start()
    with Containers(tmp_path) as containers, pytest.raises(DataError, match="longer than its header says"):
        containers.read("x.gz::0")
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def test_a_truncated_or_changed_packed_idx_file_never_gives_other_values(tmp_path: Path) -> None:
    whole = fixtures.gz(fixtures.idx(IDX))
    for data in fixtures.truncations(whole):
        fixtures.write(tmp_path / "x.gz", data)
        with pytest.raises(DataError, match=r"x\.gz is"), Containers(tmp_path) as containers:
            containers.read("x.gz::0")
    noticed = 0
    for data in fixtures.flips(whole, 300):
        fixtures.write(tmp_path / "x.gz", data)
        with Containers(tmp_path) as containers:
            try:
                assert np.array_equal(containers.read("x.gz::49").pixels[..., 0], IDX[49])
            except DataError:
                noticed += 1
    assert noticed > 250


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"a.bin": BATCH[:-1]}, "are not records of 3073"),
        ({"a.bin": b""}, "are not records of 3073"),
        ({"a.bin": b"\x0b" + BATCH[1:]}, "it has a label 11"),
        ({"data_batch_1": b"\x80pickle"}, "take the binary version"),
    ],
)
def test_what_is_no_cifar_batch_is_refused(tmp_path: Path, files: dict[str, bytes], reason: str) -> None:
    fixtures.write(tmp_path / "x.tar.gz", fixtures.tarred(dict(files)))
    with pytest.raises(DataError, match=reason), Containers(tmp_path) as containers:
        containers.read("x.tar.gz::a.bin/0")


def test_damaged_pictures_in_a_zip_are_named(tmp_path: Path) -> None:
    members = {f"{i}.png": data for i, data in enumerate(fixtures.truncations(fixtures.encoded(COLOR)))}
    fixtures.write(tmp_path / "x.zip", fixtures.zipped(members, zipfile.ZIP_STORED))
    with Containers(tmp_path) as containers:
        for locator in [f"x.zip::{name}" for name in members]:
            with pytest.raises(DataError, match=locator):
                containers.read(locator)


# --- real files ------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not MNIST.exists(), reason=f"needs the MNIST files in {MNIST}")
def test_the_first_digits_of_mnist_are_5_0_4_1_9() -> None:
    with Containers(MNIST) as containers:
        assert containers.count("t10k-images-idx3-ubyte.gz") == 10_000
        assert containers.labels("train-labels-idx1-ubyte.gz")[:5].tolist() == [5, 0, 4, 1, 9]
        assert containers.labels("t10k-labels-idx1-ubyte.gz")[:3].tolist() == [7, 2, 1]
        first = containers.read("t10k-images-idx3-ubyte.gz::0").pixels
    assert first.shape == (28, 28, 1)
    assert first[7, 6:16, 0].tolist() == [84, 185, 159, 151, 60, 36, 0, 0, 0, 0]


@pytest.mark.skipif(not FER.exists(), reason=f"needs the FER-2013 archive in {FER}")
def test_faces_are_read_from_the_published_archive() -> None:
    with Containers(FER) as containers:
        names = containers.names("fer2013.zip")
        assert len(names) == 3547
        assert {p.pixels.shape for p in containers.read_many([f"fer2013.zip::{n}" for n in names[:200]])} == {
            (48, 48, 1)
        }
