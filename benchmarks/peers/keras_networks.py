"""The same networks in Keras. Parameters and outputs are compared by same_network.py."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import keras
import numpy as np
from keras import layers


def _convolution(filters: int, activation: str | None = "relu", **settings: object) -> layers.Layer:
    return layers.Conv2D(filters, 3, padding="same", activation=activation, **settings)


def _doubling(filters: int, activation: str | None = None) -> layers.Layer:
    return layers.Conv2DTranspose(filters, 3, strides=2, padding="same", activation=activation)


def _sequential(channels: int, size: int, *stack: layers.Layer) -> keras.Model:
    return keras.Sequential([keras.Input((size, size, channels)), *stack])


def sinha2018(channels: int, size: int, bottom: bool = True) -> keras.Model:
    return _sequential(
        channels,
        size,
        *(layer for filters in (32, 64, 128) for layer in (_convolution(filters), layers.MaxPooling2D())),
        *((_convolution(128),) if bottom else ()),
        *(layer for filters in (64, 32) for layer in (layers.UpSampling2D(), _convolution(filters))),
        layers.UpSampling2D(),
        _convolution(channels, None),
    )


def machinecurve2019(channels: int, size: int) -> keras.Model:
    kept = {"activation": "relu", "kernel_constraint": keras.constraints.MaxNorm(2.0)}
    return _sequential(
        channels,
        size,
        *(layers.Conv2D(filters, 3, kernel_initializer="he_uniform", **kept) for filters in (64, 32)),
        *(layers.Conv2DTranspose(filters, 3, kernel_initializer="he_uniform", **kept) for filters in (32, 64)),
        _convolution(channels, "sigmoid", kernel_constraint=kept["kernel_constraint"]),
    )


def datacamp2018(channels: int, size: int) -> keras.Model:
    return _sequential(
        channels,
        size,
        *(layer for filters in (32, 64) for layer in (_convolution(filters), layers.MaxPooling2D())),
        _convolution(128),
        *(layer for filters in (128, 64) for layer in (_convolution(filters), layers.UpSampling2D())),
        _convolution(channels, "sigmoid"),
    )


def dense(channels: int, size: int, widths: tuple[int, ...], end: str = "sigmoid") -> keras.Model:
    return _sequential(
        channels,
        size,
        layers.Flatten(),
        *(layers.Dense(width, activation="relu") for width in widths),
        layers.Dense(channels * size**2, activation=end),
        layers.Reshape((size, size, channels)),
    )


def venkataraman2022(channels: int, size: int) -> keras.Model:
    return _sequential(
        channels,
        size,
        *(layer for _ in range(2) for layer in (_convolution(32), layers.MaxPooling2D())),
        *(_doubling(32, "relu") for _ in range(2)),
        _convolution(channels, "sigmoid"),
    )


def bernier2021(
    channels: int, size: int, filters: tuple[int, ...] = (32, 64), latent: int = 16, slope: float = 0.01
) -> keras.Model:
    def activation() -> tuple[layers.Layer, layers.Layer]:
        return layers.LeakyReLU(negative_slope=slope), layers.BatchNormalization()

    side, last = size // 2 ** len(filters), filters[-1]
    return _sequential(
        channels,
        size,
        *(layer for count in filters for layer in (_convolution(count, None, strides=2), *activation())),
        layers.Flatten(),
        layers.Dense(latent),
        layers.Dense(last * side * side),
        layers.Reshape((side, side, last)),
        *(layer for count in reversed(filters) for layer in (_doubling(count), *activation())),
        layers.Conv2DTranspose(channels, 3, padding="same", activation="sigmoid"),
    )


def yilmaz2020(channels: int, size: int, depth: int = 8, skips: bool = True) -> keras.Model:
    images = keras.Input((size, size, channels))
    features, kept = images, []
    for _ in range(depth):
        features = _convolution(64)(features)
        kept.append(features)
    for place in range(depth - 1):
        features = _transposed(64, "relu")(features)
        if skips and place % 2 == 0:
            features = features + kept[depth - 2 - place]
    return keras.Model(images, _transposed(channels, "sigmoid")(features))


def rednet(channels: int, size: int, depth: int) -> keras.Model:
    images = keras.Input((size, size, channels))
    half = depth // 2
    levels = [images]  # after so many convolutions
    for _ in range(half):
        levels.append(_convolution(64)(levels[-1]))
    features = levels[-1]
    for level in range(half - 1, 0, -1):
        features = _transposed(64)(features)
        if depth > 10 and level % 2 == 0:
            features = features + levels[level]
        features = layers.ReLU()(features)
    return keras.Model(images, images + _transposed(channels)(features))


def _transposed(filters: int, activation: str | None = None) -> layers.Layer:
    return layers.Conv2DTranspose(filters, 3, padding="same", activation=activation)


def unet(channels: int, size: int, width: int = 32) -> keras.Model:
    def residual(features: keras.KerasTensor, filters: int) -> keras.KerasTensor:
        small = keras.initializers.VarianceScaling(0.02, "fan_in", "untruncated_normal")
        first = _convolution(filters, kernel_initializer="he_normal")(features)
        return features + _convolution(filters, None, kernel_initializer=small)(first)

    images = keras.Input((size, size, channels))
    transform = layers.Conv2D(4 * channels, 2, strides=2, use_bias=False, trainable=False)
    inverse = layers.Conv2DTranspose(channels, 2, strides=2, use_bias=False, trainable=False)
    full = residual(_convolution(width, None)(transform(images - 0.5)), width)
    half = residual(layers.Conv2D(2 * width, 2, strides=2)(full), 2 * width)
    joined = residual(layers.Conv2DTranspose(width, 2, strides=2)(half) + full, width)
    noise = _convolution(4 * channels, None, kernel_initializer="zeros")(joined)
    model = keras.Model(images, images + inverse(noise))
    for layer in (transform, inverse):
        layer.set_weights([_haar_and_opponent(channels)])
    return model


def _haar_and_opponent(channels: int) -> np.ndarray:
    """The U-Net's fixed kernel (2, 2, channels, 4 * channels); degrain.networks.unet explains it."""
    opponent = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]], np.float32) if channels == 3 else np.eye(channels)
    opponent /= np.linalg.norm(opponent, axis=1, keepdims=True)
    haar = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]], np.float32) / 2
    return np.einsum("hp,oc->pcho", haar, opponent).reshape(2, 2, channels, 4 * channels)


NETWORKS: dict[str, Callable[[int, int], keras.Model]] = {
    "sinha2018": sinha2018,
    "sinha2018-3-3": partial(sinha2018, bottom=False),
    "bernier2021": bernier2021,
    "bernier2021-relu": partial(bernier2021, slope=0.0),
    "pyimagesearch2020": partial(bernier2021, slope=0.2),
    "pyimagesearch2020-wide": partial(bernier2021, slope=0.2, filters=(64, 128), latent=128),
    "pyimagesearch2020-deep": partial(bernier2021, slope=0.2, filters=(32, 64, 128), latent=256),
    "machinecurve2019": machinecurve2019,
    "datacamp2018": datacamp2018,
    "opengenus2019": partial(dense, widths=(500, 300, 100, 300, 500)),
    "venkataraman2022": venkataraman2022,
    "venkataraman2022-dense": partial(dense, widths=(64,)),
    "venkataraman2022-dense-relu": partial(dense, widths=(64,), end="relu"),
    "yilmaz2020": yilmaz2020,
    "yilmaz2020-no-skips": partial(yilmaz2020, skips=False),
    "yilmaz2020-shallow": partial(yilmaz2020, depth=4, skips=False),
    "rednet10": partial(rednet, depth=10),
    "rednet20": partial(rednet, depth=20),
    "rednet30": partial(rednet, depth=30),
    "unet": unet,
}
