"""Whether Keras itself trains Mehrpanah 2020's candidates into black outputs, as `mehrpanah2020-candidates` does.

Needs TensorFlow 2.21 with Keras 3, which degrain does not depend on; with an environment that has them:

    python -m benchmarks.peers.black_outputs train-images-idx3-ubyte.gz

It trains each for 200 steps with MSE, in the settings of that study, and DataCamp's network in its own, too, and prints
the loss on 500 of the digits, and that of a black image.
"""

from __future__ import annotations

import gzip
import itertools
import sys
from pathlib import Path

import keras
import numpy as np

from benchmarks.peers.keras_networks import NETWORKS

CANDIDATES = ("pyimagesearch2020", "machinecurve2019", "datacamp2018", "opengenus2019")
STEPS, JUDGED = 200, 500
# Network, optimizer, batch size, mean of the noise.
CASES = [
    *((name, "adam", 64, mean) for name in CANDIDATES for mean in (0.5, 0.0)),
    ("datacamp2018", "rmsprop", 128, 0.0),
]


def main(path: Path) -> None:
    digits = np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=16).reshape(-1, 28, 28, 1)
    print("network, optimizer, batch size, mean of the noise, seed: MSE, MSE of black, brightest output")
    for (name, optimizer, batch, mean), seed in itertools.product(CASES, (0, 1, 2)):
        keras.utils.set_random_seed(seed)
        random = np.random.default_rng(seed)
        clean = random.permutation(digits)[: STEPS * batch].astype(np.float32) / 255
        noisy = np.clip(clean + random.normal(mean, 0.5, clean.shape), 0, 1).astype(np.float32)
        model = NETWORKS[name](1, 28)
        model.compile(optimizer, "mse")
        model.fit(noisy, clean, batch_size=batch, verbose=0)
        outputs, targets = model.predict(noisy[:JUDGED], verbose=0), clean[:JUDGED]
        losses = np.square(outputs - targets).mean(), np.square(targets).mean()
        case = f"{name}, {optimizer}, {batch}, {mean}, {seed}"
        print(f"{case}: {losses[0]:.5f}, {losses[1]:.5f}, {outputs.max():.2g}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
