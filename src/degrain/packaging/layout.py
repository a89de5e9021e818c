"""What lies where in a packaged model, beside the weights and trial.json of `degrain.artifacts.trial`."""

from __future__ import annotations

from pathlib import Path

# The only file of code; loading the model executes it.
CODE = "denoise_model.py"
# The network; MLflow keeps a model's data in this folder.
NETWORK = "artifacts/network.onnx"
CARD = "README.md"
EXAMPLES = "examples"
MLMODEL = "MLmodel"


def examples(folder: Path) -> list[str]:
    """Return the pictures of a packaged model, relative to its folder, sorted."""
    return [path.relative_to(folder).as_posix() for path in sorted((folder / EXAMPLES).glob("*.png"))]
