"""The pictures of the report and of `degrain compare`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from degrain.evaluation import examples, methods
from degrain.patches.store import PatchStore
from degrain.pixels import Light


@pytest.mark.parametrize("light", ["srgb", "linear"])
def test_linear_light_is_shown_by_the_curve_of_srgb(tmp_path: Path, store: PatchStore, light: Light) -> None:
    store = replace(store, record=store.record.model_copy(update={"light": light}))
    photograph = store.photographs()[0]
    examples.write_side_by_side(tmp_path / "shown", store, [methods.identity()])
    shown = np.asarray(Image.open(tmp_path / "shown" / f"{photograph.name}.png"))[:, -photograph.clean.shape[1] :]
    value = photograph.clean / 255
    curve = np.where(value <= 0.0031308, 12.92 * value, 1.055 * value ** (1 / 2.4) - 0.055)
    assert np.array_equal(shown, np.rint(255 * (curve if light == "linear" else value)))
