"""Two models on the same held-out images, source by source, with the gate's interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from degrain.errors import ModelError
from degrain.evaluation import gate, scoring, summary
from degrain.evaluation.methods import Method
from degrain.inference.denoiser import Denoiser
from degrain.metrics.base import Metric
from degrain.networks import catalog
from degrain.params.results import GateParams
from degrain.patches.store import PatchStore

# With so many sources an interval means something.
ENOUGH: int = GateParams.model_fields["min_sources"].default


@dataclass(frozen=True)
class Comparison:
    """Two models by one measure; `str` of it is a sentence.

    Attributes:
        measure: Of `degrain.evaluation.summary.MEASURES`: `test_psnr` or `photograph_psnr`.
        first: Mean score of the first model for each source, by its name, in the metric's unit.
        second: Of the second one.
        enough: With fewer sources there is no interval.

    Examples:
        >>> import pandas as pd
        >>> import degrain
        >>> first = pd.Series({f"photo-{number}": 30 + number / 10 for number in range(6)})
        >>> print(degrain.Comparison("test_psnr", first, first - 0.5))
        the first is better by +0.50 dB, on 6 of 6 sources; 95% interval +0.50 to +0.50
        >>> degrain.Comparison("test_psnr", first[:2], first[:2] - 0.5).interval is None
        True
    """

    measure: str
    first: pd.Series
    second: pd.Series
    enough: int = ENOUGH

    @property
    def metric(self) -> Metric:
        """What was measured."""
        return summary.metric_of(self.measure)

    @property
    def gains(self) -> np.ndarray:
        """By how much the first one is better on each source: float64 (sources,)."""
        return (self.first - self.second).to_numpy()

    @property
    def gain(self) -> float:
        """By how much the first one is better on average."""
        return float(self.gains.mean())

    @property
    def won(self) -> int:
        """On how many sources the first one is better."""
        return int((self.gains > 0).sum())

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the mean gain over sources; None of too few of them."""
        if len(self.gains) < self.enough:
            return None
        return gate.lower_end(self.gains), 0.0 - gate.lower_end(-self.gains)

    @property
    def table(self) -> pd.DataFrame:
        """One row for each source: first, second, gain."""
        return pd.DataFrame({"first": self.first, "second": self.second, "gain": self.first - self.second})

    def __str__(self) -> str:
        """Say the mean difference, and how sure it is."""
        sources, digits = len(self.gains), self.metric.digits
        if not self.gains.any():
            return f"the two are equal, on all {sources} sources"
        text = f"the first is better by {self.gain:+.{digits}f} {self.metric.unit}, on {self.won} of {sources} sources"
        if self.interval is None:
            return f"{text}: too few for an interval"
        low, high = self.interval
        return f"{text}; {gate.CONFIDENCE:.0%} interval {low:+.{digits}f} to {high:+.{digits}f}"


def require_fit(name: str, denoiser: Denoiser, store: PatchStore, of: str) -> None:
    """Refuse a model that denoises other images than those of a store.

    Args:
        name: What messages call it.
        denoiser: The model.
        store: The data.
        of: What messages call the data.

    Raises:
        ModelError: It does.
    """
    takes = catalog.spec(denoiser.model)
    fits = denoiser.patch_size == store.patch_size if takes.fixed_size else not takes.problem(store.patch_size)
    if not fits or (denoiser.channels, denoiser.light) != (store.channels, store.record.light):
        raise ModelError(f"{name} denoises other images than those of {of}")


def compare(first: Method, second: Method, store: PatchStore, enough: int = ENOUGH) -> list[Comparison]:
    """Measure two models on the test images of a store.

    Args:
        first: A model.
        second: Another one.
        store: The data.
        enough: With fewer sources there is no interval.

    Returns:
        One comparison for each measure that the data has: test patches, and whole photographs if some were kept.
    """
    photographs = store.photographs()
    tables = [scoring.score(method, store, photographs) for method in (first, second)]
    made = []
    for measure in summary.MEASURES:
        one, other = (summary.by_unit(table, measure) for table in tables)
        if len(one):
            made.append(Comparison(measure, one, other, enough))
    return made
