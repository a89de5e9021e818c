"""The one file of code of a package: made of our sources, and of nothing that is not in it."""

from __future__ import annotations

import ast
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from degrain.errors import ModelError
from degrain.packaging import package, standalone


def test_the_file_imports_what_is_required_and_nothing_else() -> None:
    tree = ast.parse(standalone.source())
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {one.name for node in ast.walk(tree) if isinstance(node, ast.Import) for one in node.names}
    libraries = {str(module).partition(".")[0] for module in modules} - set(sys.stdlib_module_names)
    distributions = packages_distributions()
    needed = {name.lower() for library in libraries for name in distributions[library]}
    # pandas is imported by mlflow.pyfunc, and mlflow-skinny does not require it.
    assert needed - {"mlflow", "mlflow-tracing"} <= set(package.REQUIRED)
    assert needed >= set(package.REQUIRED) - {"pandas"}


def test_the_file_is_the_same_every_time_and_says_what_it_is() -> None:
    source = standalone.source()
    assert source == standalone.source()
    head = ast.get_docstring(ast.parse(source)) or ""
    assert head.startswith("A denoising model for MLflow, written by degrain ")
    assert "Loading the model executes this file and nothing else of the package." in head
    assert "degrain.inference.tiling" in head
    assert source.count("from __future__") == 1
    assert max(len(line) for line in source.splitlines()) <= 120


def made(folder: Path, monkeypatch: pytest.MonkeyPatch, **sources: str) -> None:
    for name, text in sources.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.setattr(standalone, "_file", lambda name: folder / f"{name.rpartition('.')[2]}.py")
    monkeypatch.setattr(standalone, "SERVED", "degrain.served:Model")


@pytest.mark.parametrize(
    ("served", "words"),
    [
        ('"""A."""\nfrom degrain.other import b\n\n_up = 1\n', "all name _up"),
        ('"""A."""\nfrom degrain.other import b as c\n', "gives another name"),
        ('"""A."""\nimport degrain.other\n', "from MODULE import NAME"),
    ],
)
def test_modules_that_cannot_be_one_file_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, served: str, words: str
) -> None:
    made(tmp_path, monkeypatch, served=served, other='"""B."""\n\n\ndef _up() -> None: ...\n\n\nb = 2\n')
    with pytest.raises(ModelError, match=words):
        standalone.source()
