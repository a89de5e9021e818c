"""The model that MLflow loads: every kind of image in, the same kind out, and a clear refusal of all else."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow.exceptions import MlflowException
from PIL import Image

from degrain import files
from degrain.inference.denoiser import Denoiser
from degrain.packaging import layout, onnx_export, serving
from tests.conftest import picture
from tests.packaging import packages


@pytest.fixture(scope="module")
def network(packaged: Path) -> serving.Network:
    return loaded(packaged / layout.NETWORK)


@pytest.fixture(scope="module")
def predict(network: serving.Network) -> Callable[[Any], list[Any]]:
    model = serving.ImageDenoiser()
    model.network = network
    return lambda images: model.predict(None, images)


@pytest.fixture(scope="module")
def denoiser(packaged: Path) -> Denoiser:
    return Denoiser.load(packaged)


def exported(folder: Path, model: str, **options: Any) -> serving.Network:
    path = folder / "network.onnx"
    path.write_bytes(onnx_export.export(packages.denoiser(model, **options)))
    return loaded(path)


def loaded(path: Path) -> serving.Network:
    return serving.Network.load(str(path), files.sha256(path))


def file(pixels: np.ndarray | Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content), formats=("PNG",))


def noisy(height: int = 62, width: int = 63, channels: int = 3) -> np.ndarray:
    return picture(1, height, width, channels)


def test_an_image_of_each_kind_is_answered_in_kind(predict: Callable[[Any], list[Any]]) -> None:
    pixels = noisy()
    content = file(pixels)
    text, data, array, lists = predict(
        [base64.b64encode(content).decode(), content, pixels, pixels.tolist()],
    )
    assert isinstance(text, str)
    assert base64.b64decode(text) == data
    assert array.dtype == np.uint8
    assert not np.array_equal(array, pixels)
    np.testing.assert_array_equal(np.asarray(opened(data)), array)
    assert lists == array.tolist()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(40, 30), (40, 30, 1), (40, 30, 3), (1, 50), (50, 1, 3), (1, 1)])
def test_an_array_keeps_its_type_and_shape(
    predict: Callable[[Any], list[Any]], denoiser: Denoiser, dtype: str, shape: tuple[int, ...]
) -> None:
    pixels = noisy(*shape[:2], 3 if shape[-1] == 3 else 1).reshape(shape)
    white = np.iinfo(dtype).max if dtype.startswith("u") else 1
    values = (pixels / 255 * white).astype(dtype)
    (found,) = predict([values])
    assert (found.dtype, found.shape) == (values.dtype, shape)
    expected = denoiser.image((pixels if white == 1 else values).reshape(*shape[:2], -1)).reshape(shape)
    full = np.iinfo(expected.dtype).max
    np.testing.assert_allclose(found / white, expected / full, rtol=0, atol=0.51 / 255)


def test_what_the_server_answers_is_what_degrain_denoises(network: serving.Network, denoiser: Denoiser) -> None:
    for pixels in (noisy(200, 301), noisy(99, 100, 1)):
        found, expected = network.image(pixels).astype(int), denoiser.image(pixels).astype(int)
        different = np.abs(found - expected)
        assert different.max() <= 1
        assert (different > 0).mean() <= 0.001


def test_tiles_are_equal_to_the_whole_image(network: serving.Network, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = noisy(150, 203)
    whole = network.image(pixels)
    monkeypatch.setattr(serving, "TILE", 48)
    assert len(list(network.tiles(pixels))) == 20
    # Sums of other lengths are rounded in another way.
    assert np.abs(network.image(pixels).astype(int) - whole).max() <= 1


def test_networks_of_fixed_size_and_of_gray_are_served(tmp_path: Path) -> None:
    for model, channels in (("bernier2021", 3), ("machinecurve2019", 1)):
        served, own = exported(tmp_path, model, channels=channels), packages.denoiser(model, channels)
        for pixels in (noisy(70, 33), noisy(5, 3), noisy(40, 41, 1)):
            different = np.abs(served.image(pixels).astype(int) - own.image(pixels))
            assert different.max() <= 1
            assert (different > 0).mean() <= 0.001


def test_lists_of_integers_have_8_bits_or_16(predict: Callable[[Any], list[Any]]) -> None:
    low, high, fractions = predict([[[0, 255], [7, 9]], [[0, 256], [7, 9]], [[0, 1], [0.5, 0.25]]])
    assert all(isinstance(value, int) for row in (*low, *high) for value in row)
    assert max(value for row in low for value in row) <= 255
    assert all(isinstance(value, float) and 0 <= value <= 1 for row in fractions for value in row)


def test_files_of_16_bits_stay_so(predict: Callable[[Any], list[Any]], denoiser: Denoiser) -> None:
    pixels = noisy(channels=1)[..., 0].astype(np.uint16) * 257 + 3
    (found,) = predict([file(pixels)])
    assert np.asarray(opened(found)).dtype == np.uint16
    expected = denoiser.image(pixels[..., None])[..., 0]
    np.testing.assert_allclose(np.asarray(opened(found)).astype(int), expected, rtol=0, atol=16)


def test_transparency_stays_and_only_color_is_denoised(predict: Callable[[Any], list[Any]]) -> None:
    pixels, alpha = noisy(), picture(5, 62, 63, 1)
    for color in (pixels, pixels[..., :1]):
        (found,) = predict([file(np.concatenate([color, alpha], axis=2))])
        values = np.asarray(opened(found))
        np.testing.assert_array_equal(values[..., -1], alpha[..., 0])
        (plain,) = predict([color])
        np.testing.assert_array_equal(values[..., :-1], plain)


def test_palettes_become_color_and_keep_what_is_transparent(predict: Callable[[Any], list[Any]]) -> None:
    image = Image.fromarray(noisy()).quantize(16)
    (found,) = predict([file(image)])
    assert opened(found).mode == "RGB"
    (found,) = predict([file(image, transparency=3)])
    assert opened(found).mode == "RGBA"
    np.testing.assert_array_equal(np.asarray(opened(found))[..., 3] == 0, np.asarray(image) == 3)


def test_black_and_white_becomes_gray(predict: Callable[[Any], list[Any]]) -> None:
    (found,) = predict([file(Image.fromarray(noisy(channels=1)[..., 0]).convert("1"))])
    assert opened(found).mode == "L"


def test_a_jpeg_is_turned_upright_and_keeps_its_color_profile(
    predict: Callable[[Any], list[Any]], denoiser: Denoiser
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = file(noisy(40, 56), "JPEG", exif=exif, icc_profile=b"a profile", quality=95)
    (found,) = predict([content])
    assert opened(found).size == (40, 56)
    assert opened(found).info["icc_profile"] == b"a profile"
    assert 0x0112 not in opened(found).getexif()
    upright = np.rot90(np.asarray(Image.open(io.BytesIO(content))), -1)
    different = np.abs(np.asarray(opened(found)).astype(int) - denoiser.image(np.ascontiguousarray(upright)))
    assert different.max() <= 1


def test_base64_may_have_several_lines(predict: Callable[[Any], list[Any]]) -> None:
    content = file(noisy())
    one, several = predict([base64.b64encode(content).decode(), base64.encodebytes(content).decode()])
    assert one == several


def png(depth: int, color: int, height: int = 4, width: int = 4) -> bytes:
    """A PNG file of a kind that Pillow does not write, without pixels."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def animation() -> bytes:
    first, *others = (Image.fromarray(picture(seed, 20, 20)) for seed in range(3))
    return file(first, save_all=True, append_images=others)


REFUSED: dict[str, tuple[Any, str]] = {
    "an object": ({"b64": "x"}, "an object, not an image file, an array or nested lists of numbers"),
    "nothing": (None, "nothing, not an image"),
    "a number": (3, "a number, not an image"),
    "no base64": ("#!", "its text is no base64"),
    "letters of other scripts": ("\u732b", "its text is no base64"),
    "base64 of text": (base64.b64encode(b"hello").decode(), "neither a PNG nor a JPEG file"),
    "empty text": ("", "it is empty"),
    "empty bytes": (b"", "it is empty"),
    "a GIF": (file(Image.fromarray(noisy()), "GIF"), "neither a PNG nor a JPEG file"),
    "a TIFF": (file(noisy(), "TIFF"), "neither a PNG nor a JPEG file"),
    "a truncated file": (file(noisy())[:3000], "a damaged image file"),
    "a file without pixels": (png(8, 2), "a damaged image file"),
    "16-bit color": (png(16, 2), "16 bits and color or alpha, which would be cut to 8 bits"),
    "16-bit gray and alpha": (png(16, 4), "16 bits and color or alpha"),
    "CMYK": (file(Image.fromarray(noisy()).convert("CMYK"), "JPEG"), "CMYK colors; convert it to RGB"),
    "an animation": (animation(), "it is an animation"),
    "a bomb": (png(8, 0, 30_000, 30_000), "more than 89 million pixels"),
    "a large image": (png(8, 0, 10_000, 10_000), "more than 89 million pixels"),
    "NaN": (np.full((3, 3), np.nan), "it holds NaN or infinity"),
    "NaN in lists": ([[float("nan"), 0.5]], "it holds NaN or infinity"),
    "floats above 1": (np.full((3, 3), 1.5), r"its floats are not in \[0, 1\]"),
    "8-bit levels as floats": ([[0.5, 200.0]], r"its floats are not in \[0, 1\]"),
    "negative": ([[-1, 3]], r"its integers are not in \[0, 65535\]"),
    "too large integers": ([[65536, 3]], r"its integers are not in \[0, 65535\]"),
    "huge integers": ([[10**40, 3]], "its lists hold other things than numbers"),
    "truth values": ([[True, False]], "its lists hold other things than numbers"),
    "words": ([["a", "b"]], "its lists hold other things than numbers"),
    "ragged lists": ([[1, 2], [3]], "its lists are not of equal length"),
    "an empty list": ([], "it has 1 dimensions"),
    "a row of nothing": ([[]], "it has no pixels"),
    "zero-sized": (np.zeros((0, 5, 3), np.uint8), r"it has no pixels: its shape is \(0, 5, 3\)"),
    "a batch": (np.zeros((1, 4, 4, 3), np.uint8), "it has 4 dimensions"),
    "two channels": (np.zeros((4, 4, 2), np.uint8), "it has 2 channels; this model takes 1 or 3"),
    "four channels": (np.zeros((4, 4, 4), np.uint8), "it has 4 channels; this model takes 1 or 3"),
    "int64": (np.zeros((4, 4), np.int64), "it is of int64; give uint8, uint16, or floats"),
    "complex": (np.zeros((4, 4), complex), "it is of complex128"),
    "text in an array": (np.full((4, 4), "a"), "it is of <U1"),
}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(("item", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_image_is_refused_by_its_number(predict: Callable[[Any], list[Any]], item: Any, words: str) -> None:
    with pytest.raises(MlflowException, match=rf"^image 1: .*{words}") as caught:
        predict([noisy(), item])
    assert caught.value.get_http_status_code() == 400
    said = caught.value.serialize_as_json()
    assert "Traceback" not in said
    assert "stack_trace" not in said
    assert "/" not in said
    assert "object at 0x" not in said
    assert len(said) < 250


@pytest.mark.parametrize(
    ("request_", "words"),
    [([], "the list of images is empty"), ({"a": 1}, "give a list of images, not an object"), ("x", "not str")],
)
def test_a_request_that_is_no_list_of_images_is_refused(
    predict: Callable[[Any], list[Any]], request_: Any, words: str
) -> None:
    with pytest.raises(MlflowException, match=words) as caught:
        predict(request_)
    assert caught.value.get_http_status_code() == 400


def test_a_failure_of_ours_says_its_kind_and_no_more(
    predict: Callable[[Any], list[Any]], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> Any:
        raise OSError("/secret/path")

    monkeypatch.setattr(serving, "in_halos", broken)
    with pytest.raises(MlflowException) as caught:
        predict([noisy()])
    assert caught.value.get_http_status_code() == 500
    assert caught.value.message == "image 0: it could not be denoised (OSError)"
    assert "/secret/path" in caplog.text


def test_the_servers_own_words_do_not_replace_ours() -> None:
    """MLflow's server puts the whole request before the text, which may be megabytes."""
    failure = serving.Failure("image 0: it is empty", 1000)
    failure.message = f"Failed to predict data {'x' * 1000}"
    assert failure.message == "image 0: it is empty"


def test_a_model_for_linear_light_takes_arrays_only(tmp_path: Path) -> None:
    served = exported(tmp_path, "machinecurve2019", channels=4, light="linear")
    mosaic = noisy(20, 20, 4)
    assert serving.answer(served, mosaic).shape == (20, 20, 4)
    with pytest.raises(serving.ImageError, match="takes linear light, which PNG and JPEG files do not hold"):
        serving.answer(served, file(noisy()))
    with pytest.raises(serving.ImageError, match="it has 3 channels; this model takes 4"):
        serving.answer(served, noisy())


def test_a_file_that_is_no_network_of_ours_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    path.write_bytes(b"x")
    with pytest.raises(MlflowException, match=r"network\.onnx was not exported by degrain") as caught:
        loaded(path)
    assert str(tmp_path) not in str(caught.value)
