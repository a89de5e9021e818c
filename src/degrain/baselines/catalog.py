"""The classical denoisers, by name."""

from __future__ import annotations

from collections.abc import Iterable

from degrain import catalogs
from degrain.baselines import bilateral, gaussian, median, nlm, tv, wavelet
from degrain.baselines.base import Baseline
from degrain.errors import ParamsError, nearest

BASELINES: dict[str, Baseline] = catalogs.of_modules(
    Baseline, "BASELINE", (gaussian, median, bilateral, wavelet, nlm, tv)
)


def check(names: Iterable[str]) -> None:
    """Refuse unknown baselines.

    Raises:
        ParamsError: One is unknown; the message has the nearest.
    """
    for name in names:
        if name not in BASELINES:
            raise ParamsError(f"evaluate.baselines: unknown baseline {name!r}{nearest(name, BASELINES)}")
