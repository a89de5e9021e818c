"""The classical denoisers, by name."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable

from degrain import catalogs
from degrain.baselines import bilateral, bm3d, gaussian, median, nlm, tv, wavelet
from degrain.baselines.base import Baseline
from degrain.errors import ParamsError, nearest

BASELINES: dict[str, Baseline] = catalogs.of_modules(
    Baseline, "BASELINE", (gaussian, median, bilateral, wavelet, nlm, tv, bm3d)
)


def check(names: Iterable[str]) -> None:
    """Refuse unknown baselines, and those of which a package is not installed.

    Raises:
        ParamsError: One cannot be used; the message has the nearest name, or the command that installs it.
    """
    for name in names:
        if name not in BASELINES:
            raise ParamsError(f"evaluate.baselines: unknown baseline {name!r}{nearest(name, BASELINES)}")
        needs = BASELINES[name].needs
        if needs and importlib.util.find_spec(needs) is None:
            raise ParamsError(
                f"evaluate.baselines: {name} needs a package that does not come with degrain; read its licence, then: "
                f"pip install {needs}"
            )
