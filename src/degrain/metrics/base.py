"""What a metric says of itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from degrain import catalogs


@dataclass(frozen=True)
class Metric:
    """How close denoised images come to the clean ones.

    To add one, write a file beside this one that ends in `METRIC = Metric(...)`, and name it in `catalog`: evaluate
    measures it, and the metrics file, the plots, the report and MLflow show it. See docs/extending.md.

    Attributes:
        name: In files, as in `test_psnr`.
        title: In tables.
        unit: Such as "dB"; empty for a ratio.
        digits: Decimals in tables.
        higher_is_better: Its direction.
        smallest: Least side of an image, in pixels.
        source: Paper.
        measure: From images and clean ones, both uint8 or uint16 (N, H, W, C), to float64 (N,).
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    title: Annotated[str, Field(min_length=1)]
    unit: str
    digits: Annotated[int, Field(ge=0)]
    higher_is_better: bool
    smallest: Annotated[int, Field(ge=1)]
    source: str
    measure: Callable[[np.ndarray, np.ndarray], np.ndarray]

    def values(self, images: np.ndarray, clean: np.ndarray) -> np.ndarray:
        """Measure images.

        Args:
            images: uint8 or uint16 (N, H, W, C).
            clean: The same type and shape.

        Returns:
            float64 (N,).

        Raises:
            ParamsError: `measure` fails, or returns another shape; the message begins with its file.
        """
        file = catalogs.file_of_function(self.measure)
        with catalogs.blaming(file, self.name):
            values = np.asarray(self.measure(images, clean), np.float64)
            catalogs.require_shape(file, self.name, values.shape, (len(images),))
        return values

    @property
    def heading(self) -> str:
        """Title and unit, for the head of a column."""
        return f"{self.title}, {self.unit}" if self.unit else self.title

    def text(self, value: float) -> str:
        """Return a value for a table that has the unit in its head.

        >>> from degrain.metrics.psnr import METRIC
        >>> METRIC.text(30.4342), METRIC.heading
        ('30.43', 'PSNR, dB')
        """
        return f"{value:.{self.digits}f}"
