"""The public names: which there are, what importing them costs, and what their docstrings say."""

from __future__ import annotations

import ast
import doctest
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
from scripts import api_table

import degrain
from degrain import errors
from tests.conftest import ROOT, picture, save

NAMES = [name for name in degrain.__all__ if not name.startswith("__")]
# Errors are raised, and stores are made by `prepare` and `open_store`, whose examples show them.
WITHOUT_EXAMPLE = {"PatchStore", *(name for name in NAMES if hasattr(errors, name))}
PUBLIC = [(name, getattr(degrain, name)) for name in NAMES]


def test_what_editors_see_is_what_there_is() -> None:
    source = ast.parse((ROOT / "src/degrain/__init__.py").read_text())
    (typed,) = (node for node in source.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    imported = {
        alias.name: node.module for node in typed.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert imported == degrain._MODULE_OF
    assert [*sorted(imported), "__version__"] == [*sorted(NAMES), "__version__"]
    assert degrain.__all__ == sorted(degrain.__all__)
    assert set(degrain.__all__) <= set(dir(degrain))
    assert (ROOT / "src/degrain/py.typed").is_file()


def test_every_error_of_the_first_rank_is_exported() -> None:
    assert {one.__name__ for one in errors.DegrainError.__subclasses__()} <= set(NAMES)
    assert issubclass(degrain.DataError, degrain.DegrainError)


def test_importing_degrain_imports_nothing_slow() -> None:
    script = (
        "import sys; before = set(sys.modules); import degrain; dir(degrain); "
        "print(sorted({name.partition('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['degrain']"


def test_what_needs_no_network_loads_no_pytorch() -> None:
    script = (
        "import sys, numpy, degrain; noisy = degrain.add_noise(numpy.full((16, 16), 0.5)); "
        "degrain.score(noisy, noisy); degrain.denoise_baseline(noisy, 'median'); degrain.list_networks(); "
        "degrain.list_models(); degrain.read_ledger('nowhere'); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_misspelt_name_is_an_attribute_error_that_knows_the_module() -> None:
    with pytest.raises(AttributeError, match="'degrain' has no attribute 'denoize'") as caught:
        degrain.denoize  # noqa: B018
    assert (caught.value.name, caught.value.obj) == ("denoize", degrain)


@pytest.mark.parametrize(("name", "value"), PUBLIC, ids=NAMES)
def test_examples_do_what_they_say(name: str, value: Any) -> None:
    found = doctest.DocTestFinder().find(value, name, module=False, globs={})
    tried = 0
    for test in found:
        results = doctest.DocTestRunner().run(test)
        assert results.failed == 0, f"see the output of {test.name}"
        tried += results.attempted
    assert tried or name in WITHOUT_EXAMPLE


@pytest.mark.parametrize(
    ("name", "value"), [one for one in PUBLIC if inspect.isfunction(one[1])], ids=filter(str.islower, NAMES)
)
def test_docstrings_tell_each_argument_in_google_form_and_end_with_the_example(name: str, value: Any) -> None:
    text = inspect.getdoc(value) or ""
    sections = [line for line in text.splitlines() if line in ("Args:", "Returns:", "Raises:", "Source:", "Examples:")]
    assert sections[-1] == "Examples:"
    parameters = inspect.signature(value).parameters
    for parameter in parameters:
        assert f"\n    {parameter}: " in text, parameter
    assert ("Args:" in sections) == bool(parameters)
    assert text.partition("\n")[0].endswith((".", ";")), "the first line is a sentence"


def test_the_page_has_the_names_and_first_lines_of_the_docstrings() -> None:
    page = (ROOT / "docs" / "api.md").read_text()
    assert api_table.update(page) == page, "run: python scripts/api_table.py"
    assert all(f"\n| `{name}" in page for name in NAMES)


@pytest.mark.parametrize("page", ["README.md", "docs/api.md"])
def test_examples_of_pages_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    assert blocks
    monkeypatch.chdir(tmp_path)
    mpl.use("agg")
    for seed in range(3):
        save(tmp_path / "photos" / f"{seed}.png", picture(seed, 64, 64))
    names: dict[str, Any] = {}
    for block in blocks:
        quick = block.replace("data.astronaut()", "data.astronaut()[:96, 200:296]").replace("epochs=20", "epochs=1")
        exec(compile(quick, page, "exec"), names)
    assert degrain.score(names["denoised"], names["clean"]) > degrain.score(names["noisy"], names["clean"]) + 3
