"""What the contenders share: what they are told, the pairs in memory, and what they answer."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Task:
    """A network and the pairs to train it on; the first of the epochs is for warming up.

    Attributes:
        folder: Holds clean.npy and noisy.npy, uint8 (patches, size, size, channels).
        workers: Processes of PyTorch's DataLoader.
    """

    net: str
    size: int
    channels: int
    batch: int
    folder: str
    epochs: int
    workers: int = 0
    ends: list[float] = field(default_factory=list)

    @classmethod
    def told(cls) -> Task:
        return cls(**json.loads(sys.argv[1]))

    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Noisy and clean patches, float32 in [0, 1]: converted once, which is not timed."""
        noisy, clean = (np.load(Path(self.folder) / f"{name}.npy") for name in ("noisy", "clean"))
        return noisy.astype(np.float32) / 255, clean.astype(np.float32) / 255

    def epoch_ended(self) -> None:
        self.ends.append(time.perf_counter())

    def answer(self, patches: int, parameters: int) -> None:
        speed = patches * (len(self.ends) - 1) / (self.ends[-1] - self.ends[0])
        print(json.dumps({"images_per_second": speed, "parameters": parameters}))
