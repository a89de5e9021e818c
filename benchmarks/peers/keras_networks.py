"""The same networks in Keras. Parameters and outputs are compared by same_network.py."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
from keras import layers


def _convolution(filters: int, activation: str | None = "relu", **settings: object) -> layers.Layer:
    return layers.Conv2D(filters, 3, padding="same", activation=activation, **settings)


def _doubling(filters: int, activation: str | None = None) -> layers.Layer:
    return layers.Conv2DTranspose(filters, 3, strides=2, padding="same", activation=activation)


def sinha2018(channels: int, size: int) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((size, size, channels)),
            *(layer for filters in (32, 64, 128) for layer in (_convolution(filters), layers.MaxPooling2D())),
            *(layer for filters in (128, 64, 32) for layer in (_convolution(filters), layers.UpSampling2D())),
            _convolution(channels, None),
        ]
    )


def venkataraman2022(channels: int, size: int) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((size, size, channels)),
            *(layer for _ in range(2) for layer in (_convolution(32), layers.MaxPooling2D())),
            *(_doubling(32, "relu") for _ in range(2)),
            _convolution(channels, "sigmoid"),
        ]
    )


def bernier2021(channels: int, size: int) -> keras.Model:
    def activation() -> tuple[layers.Layer, layers.Layer]:
        return layers.LeakyReLU(negative_slope=0.01), layers.BatchNormalization()

    side = size // 4
    return keras.Sequential(
        [
            keras.Input((size, size, channels)),
            *(layer for filters in (32, 64) for layer in (_convolution(filters, None, strides=2), *activation())),
            layers.Flatten(),
            layers.Dense(16),
            layers.Dense(64 * side * side),
            layers.Reshape((side, side, 64)),
            *(layer for filters in (64, 32) for layer in (_doubling(filters), *activation())),
            layers.Conv2DTranspose(channels, 3, padding="same", activation="sigmoid"),
        ]
    )


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
    """The U-Net's fixed kernel (2, 2, channels, 4 * channels); degrain.models.unet explains it."""
    opponent = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]], np.float32) if channels == 3 else np.eye(channels)
    opponent /= np.linalg.norm(opponent, axis=1, keepdims=True)
    haar = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]], np.float32) / 2
    return np.einsum("hp,oc->pcho", haar, opponent).reshape(2, 2, channels, 4 * channels)


NETWORKS: dict[str, Callable[[int, int], keras.Model]] = {
    "sinha2018": sinha2018,
    "bernier2021": bernier2021,
    "venkataraman2022": venkataraman2022,
    "unet": unet,
}
