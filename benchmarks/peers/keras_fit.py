"""Keras 3 on TensorFlow: model.fit on arrays in memory."""

from __future__ import annotations

import keras

from benchmarks.peers.keras_networks import NETWORKS
from benchmarks.peers.task import Task


def main() -> None:
    task = Task.told()
    noisy, clean = task.pairs()
    model = NETWORKS[task.net](task.channels, task.size)
    model.compile(keras.optimizers.Adam(1e-3), "mse")
    clock = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: task.epoch_ended())
    model.fit(noisy, clean, batch_size=task.batch, epochs=task.epochs, callbacks=[clock], verbose=0)
    task.answer(len(clean), sum(weight.shape.num_elements() for weight in model.trainable_variables))


if __name__ == "__main__":
    main()
