"""The MLflow model around an exported network: images in, denoised images of the same kind out.

A request is a list of images, each of one of these kinds:

- text: a PNG or JPEG file in base64, answered with a PNG in base64;
- bytes: a PNG or JPEG file, answered with a PNG;
- a NumPy array of uint8, uint16, or floats in [0, 1], of shape (H, W) or (H, W, C), answered with the same dtype and
  shape;
- nested lists of numbers, as JSON holds them: integers are 8-bit levels if none is above 255, else 16-bit ones; with a
  single fraction among them, all are floats in [0, 1].

C is 1 or 3, or 4 for a network that takes Bayer mosaics. It runs with onnxruntime, NumPy, Pillow and mlflow-skinny. A
request that cannot be answered is an MlflowException of HTTP status 400 whose text names the image by its number, from
0, and what is wrong.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, INVALID_PARAMETER_VALUE
from mlflow.pyfunc.model import PythonModel
from PIL import Image, ImageOps, UnidentifiedImageError

from degrain.inference.tiling import Tile, adapted, blended, in_halos
from degrain.pixels import from_unit, to_unit

log = logging.getLogger(__name__)

# Largest side of the tiles, and least overlap of those of networks of fixed size, in pixels.
TILE, OVERLAP = 768, 32
# Tiles of networks of fixed size that go through the network at once.
AT_ONCE = 64
# Channels of the images that a network of so many channels takes.
TAKES = {1: (1, 3), 3: (1, 3), 4: (4,)}

_PNG = b"\x89PNG\r\n\x1a\n"
# Of the header of a PNG file: where its bit depth and its color type are, and the color type of gray.
_PNG_DEPTH, _PNG_COLOR, _PNG_GRAY = 24, 25, 0
# Modes of Pillow for 16-bit gray.
_GRAY_16 = ("I;16", "I;16B", "I;16L", "I")
_WITH_ALPHA = {"LA": "L", "RGBA": "RGB"}


class ImageError(ValueError):
    """An image that cannot be denoised; the text says why and needs no more context than the image's number."""


class Failure(MlflowException):
    """An answer to whoever sent the request. MLflow's server would put the whole request into its text."""

    @property
    def message(self) -> str:
        """What is wrong."""
        return self._message

    @message.setter
    def message(self, text: str) -> None:
        self._message = getattr(self, "_message", text)


@dataclass(frozen=True)
class Network:
    """An exported network, see `degrain.packaging.onnx_export`.

    Attributes:
        session: Computes.
        channels: That it takes: 1, 3 or 4.
        patch_size: Side of the patches that it was trained on, in pixels.
        fixed_size: Whether it takes no other size.
        multiple: Height and width must be multiples of this.
        smallest: They must be at least this.
        radius: Receptive radius, in pixels.
        light: What values stand for: "srgb" or "linear".
    """

    session: onnxruntime.InferenceSession
    channels: int
    patch_size: int
    fixed_size: bool
    multiple: int
    smallest: int
    radius: int
    light: str

    @classmethod
    def load(cls, path: str, sha256: str) -> Network:
        """Open an ONNX file, on the CPU.

        Args:
            path: Of the file.
            sha256: Of its bytes, in hexadecimal.

        Raises:
            MlflowException: It is damaged, or none of degrain's.
        """
        content = Path(path).read_bytes()
        if hashlib.sha256(content).hexdigest() != sha256:
            raise MlflowException("network.onnx is damaged, or that of another model", INTERNAL_ERROR)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        # NOTE: images differ in size, and what is remembered for each size would be kept.
        options.enable_mem_pattern = False
        options.enable_cpu_mem_arena = False
        try:
            session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
            known = session.get_modelmeta().custom_metadata_map
            numbers = ("channels", "patch_size", "fixed_size", "multiple", "smallest", "radius")
            values = {name: int(known[f"degrain.{name}"]) for name in numbers}
            light = known["degrain.light"]
        except Exception:  # onnxruntime raises what it likes
            raise MlflowException("network.onnx was not exported by degrain", INTERNAL_ERROR) from None
        return cls(session, fixed_size=bool(values.pop("fixed_size")), light=light, **values)

    def outputs(self, images: np.ndarray) -> np.ndarray:
        """Run the network: float32 (N, H, W, channels) to the same shape, in units of white = 1, not clamped.

        Raises:
            ImageError: It makes NaN or infinity of them, which no pixel can be.
        """
        parts = [
            self.session.run(
                None, {"noisy": np.ascontiguousarray(images[start : start + AT_ONCE].transpose(0, 3, 1, 2))}
            )
            for start in range(0, len(images), AT_ONCE)
        ]
        outputs = np.concatenate([part[0] for part in parts]).transpose(0, 2, 3, 1)
        if not np.isfinite(outputs).all():
            raise ImageError("the network makes pixels of it that are no finite numbers")
        return outputs

    def tiles(self, noisy: np.ndarray) -> Iterator[Tile]:
        """Yield the parts of a denoised image as they are finished.

        Args:
            noisy: (H, W, C) uint8, uint16, or float with white = 1.
        """

        def forward(part: np.ndarray) -> np.ndarray:
            images = part.astype(np.float32) if part.dtype.kind == "f" else to_unit(part)
            return adapted(self.outputs, self.channels, images)

        if self.fixed_size:
            return blended(forward, noisy, self.patch_size, min(OVERLAP, self.patch_size // 2))
        return in_halos(forward, noisy, TILE, self.radius, self.multiple, self.smallest)

    def image(self, noisy: np.ndarray) -> np.ndarray:
        """Denoise an image of any size; besides input and output, memory holds one tile.

        Args:
            noisy: (H, W, C) uint8, uint16, or float in [0, 1].

        Returns:
            The same dtype and shape, clipped to the range of the dtype.

        Raises:
            ImageError: The network does not take so many channels.
        """
        takes = TAKES[self.channels]
        if noisy.shape[2] not in takes:
            raise ImageError(f"it has {noisy.shape[2]} channels; this model takes {' or '.join(map(str, takes))}")
        output = np.empty_like(noisy)
        for rows, columns, pixels in self.tiles(noisy):
            if noisy.dtype.kind == "f":
                output[rows, columns] = np.clip(pixels, 0, 1)
            else:
                output[rows, columns] = from_unit(pixels, noisy.dtype)
        return output


class Answering:
    """Loading a network and answering requests.

    It is a class of its own since MLflow warns, whenever it loads a model whose own class has `predict`, that it does
    not check what is in the list. `answer` checks it.
    """

    def load_context(self, context: Any) -> None:
        """Open the network, which the model's folder names `network`, and of which MLmodel has the digest."""
        self.network = Network.load(context.artifacts["network"], context.model_config["network_sha256"])

    def predict(self, context: Any, model_input: list[Any]) -> list[Any]:  # noqa: ARG002
        """Denoise a list of images, see the head of this file.

        Raises:
            MlflowException: An image cannot be denoised.
        """
        if not isinstance(model_input, list):
            raise Failure(f"give a list of images, not {_kind(model_input)}", INVALID_PARAMETER_VALUE)
        if not model_input:
            raise Failure("the list of images is empty", INVALID_PARAMETER_VALUE)
        return [self._answer(number, item) for number, item in enumerate(model_input)]

    def _answer(self, number: int, item: Any) -> Any:
        try:
            return answer(self.network, item)
        except ImageError as error:
            raise Failure(f"image {number}: {error}", INVALID_PARAMETER_VALUE) from None
        except MemoryError:
            raise Failure(f"image {number}: it is too large for this server's memory", INTERNAL_ERROR) from None
        except Exception as error:  # whoever asks is told its kind, and the log has the rest
            log.exception("image %d could not be denoised", number)
            what = f"image {number}: it could not be denoised ({type(error).__name__})"
            raise Failure(what, INTERNAL_ERROR) from error


class ImageDenoiser(Answering, PythonModel):  # type: ignore[misc]
    """What MLflow loads."""


def answer(network: Network, item: Any) -> Any:
    """Denoise one image of any of the kinds; the answer is of the same kind.

    Raises:
        ImageError: It cannot be denoised.
    """
    if isinstance(item, str):
        return base64.b64encode(_file(network, _decoded(item))).decode("ascii")
    if isinstance(item, bytes | bytearray):
        return _file(network, bytes(item))
    if isinstance(item, np.ndarray):
        return _array(network, item)
    if isinstance(item, list | tuple):
        return _array(network, _numbers(item)).tolist()
    raise ImageError(f"it is {_kind(item)}, not an image file, an array or nested lists of numbers")


def _kind(item: Any) -> str:
    known = {dict: "an object", bool: "a truth value", int: "a number", float: "a number", type(None): "nothing"}
    return known.get(type(item), type(item).__name__)


def _decoded(text: str) -> bytes:
    """Decode base64, in one line or in several."""
    try:
        return base64.b64decode("".join(text.split()).encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise ImageError("its text is no base64") from None


def _numbers(lists: Any) -> np.ndarray:
    """Return nested lists of numbers as uint8, uint16 or float64."""
    try:
        values = np.asarray(lists)
    except (ValueError, OverflowError, RecursionError, TypeError):
        raise ImageError("its lists are not of equal length, or nested too deep") from None
    if values.size and values.dtype.kind in "iu":
        if values.min() < 0 or values.max() > np.iinfo(np.uint16).max:
            raise ImageError("its integers are not in [0, 65535]")
        return values.astype(np.uint8 if values.max() <= np.iinfo(np.uint8).max else np.uint16)
    if values.size and values.dtype.kind not in "f":
        raise ImageError("its lists hold other things than numbers")
    return values


def _array(network: Network, values: np.ndarray) -> np.ndarray:
    """Denoise (H, W) or (H, W, C)."""
    if values.ndim not in (2, 3):
        raise ImageError(f"it has {values.ndim} dimensions; give (height, width) or (height, width, channels)")
    if not values.size:
        raise ImageError(f"it has no pixels: its shape is {values.shape}")
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            raise ImageError("it holds NaN or infinity")
        if values.min() < 0 or values.max() > 1:
            raise ImageError("its floats are not in [0, 1]")
    elif values.dtype not in (np.uint8, np.uint16):
        raise ImageError(f"it is of {values.dtype}; give uint8, uint16, or floats in [0, 1]")
    image = values if values.ndim == 3 else values[..., None]
    return network.image(image).reshape(values.shape)


def _file(network: Network, content: bytes) -> bytes:
    """Denoise the content of an image file; returns a PNG.

    It is upright, as its Exif data say; its alpha channel stays as it is, and so does its color profile.
    """
    if network.light != "srgb":
        raise ImageError("this model takes linear light, which PNG and JPEG files do not hold; give an array")
    image = _opened(content)
    profile = image.info.get("icc_profile")
    try:
        ImageOps.exif_transpose(image, in_place=True)
        pixels, alpha = _pixels(image)
    except ImageError:
        raise
    except Exception:  # decoders raise what they like
        raise ImageError("it is a damaged image file") from None
    denoised = network.image(pixels if pixels.ndim == 3 else pixels[..., None]).reshape(pixels.shape)
    output = Image.fromarray(denoised)
    if alpha is not None:
        output.putalpha(alpha)
    buffer = io.BytesIO()
    output.save(buffer, "PNG", compress_level=1, icc_profile=profile)
    return buffer.getvalue()


def _opened(content: bytes) -> Image.Image:
    """Read the head of an image file."""
    if not content:
        raise ImageError("it is empty")
    if len(content) > _PNG_COLOR and content.startswith(_PNG):
        depth, color = content[_PNG_DEPTH], content[_PNG_COLOR]
        if depth == 16 and color != _PNG_GRAY:
            raise ImageError("it is a PNG with 16 bits and color or alpha, which would be cut to 8 bits; give an array")
    try:
        image = Image.open(io.BytesIO(content), formats=("PNG", "JPEG"))
    except UnidentifiedImageError:
        raise ImageError("it is neither a PNG nor a JPEG file") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageError(_too_large()) from None
    except Exception:  # decoders raise what they like
        raise ImageError("it is a damaged image file") from None
    if Image.MAX_IMAGE_PIXELS and image.width * image.height > Image.MAX_IMAGE_PIXELS:
        raise ImageError(_too_large())
    if image.format == "PNG" and getattr(image, "is_animated", False):
        raise ImageError("it is an animation")
    if image.mode in ("CMYK", "YCCK"):
        raise ImageError("it has CMYK colors; convert it to RGB")
    return image


def _too_large() -> str:
    return f"it has more than {(Image.MAX_IMAGE_PIXELS or 0) // 1_000_000} million pixels"


def _pixels(image: Image.Image) -> tuple[np.ndarray, Image.Image | None]:
    """Return uint8 or uint16 (H, W) or (H, W, 3), and the alpha channel if there is one."""
    transparent = "transparency" in image.info
    if image.mode in _GRAY_16:
        if transparent:
            raise ImageError("it is a 16-bit PNG with a transparent gray, which cannot be kept; give an array")
        return np.asarray(image).astype(np.uint16), None
    if image.mode == "P":
        image = image.convert("RGBA" if transparent else "RGB")
    elif image.mode in ("1", "L"):
        image = image.convert("LA" if transparent else "L")
    elif image.mode == "RGB" and transparent:
        image = image.convert("RGBA")
    if image.mode in _WITH_ALPHA:
        return np.asarray(image.convert(_WITH_ALPHA[image.mode])), image.getchannel("A")
    if image.mode not in ("L", "RGB"):
        raise ImageError(f"it has pixels of the kind {image.mode}; convert it to gray or RGB")
    return np.asarray(image), None
