"""A trial's key and the digest of the metric protocol follow each change of the code that decides, and no other."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from degrain import files
from degrain.artifacts.scores import Conditions
from degrain.artifacts.trial import Place
from degrain.declaration import kind_of
from degrain.errors import ParamsError
from degrain.evaluation import protocol
from degrain.networks import identity
from degrain.optimizers.catalog import OPTIMIZERS
from degrain.params.results import EvaluateParams
from degrain.params.study import Params
from degrain.patches.store import PatchStore
from degrain.provenance import closure, digests
from degrain.training.trial import WORK, Trial, expand
from pipelines import dependencies
from tests.provenance.mutation import copied_package, forget, mutated

PLACE = Place(device="cpu")
CONDITIONS = Conditions(machine="AVX2", versions={})


@pytest.fixture
def package(tmp_path: Path) -> Iterator[Path]:
    """A copy of the package's sources that may be changed."""
    with copied_package(tmp_path) as copied:
        yield copied


@pytest.fixture
def key_of(make_params: Callable[..., Params], store: PatchStore) -> Callable[[str], str]:
    def key(model: str) -> str:
        forget()
        params = make_params(train={"models": [model]}).train
        return Trial(model, params.optimizers[0], params.losses[0], 0, params).key(store, PLACE)

    return key


def changes(package: Path, digest: Callable[[], str]) -> Iterator[tuple[str, bool]]:
    """Change a constant in each module in turn; yield its name and whether the digest followed."""
    before = digest()
    for name, path in sorted(closure.modules().items()):
        source = path.read_text()
        try:
            path.write_text(mutated(source))
        except ValueError:
            continue
        yield name, digest() != before
        path.write_text(source)
    assert digest() == before


def test_a_key_follows_each_module_of_its_closure_and_no_other(
    package: Path, key_of: Callable[[str], str], make_params: Callable[..., Params], store: PatchStore
) -> None:
    params = make_params(train={"models": ["unet"]}).train
    one = Trial("unet", params.optimizers[0], params.losses[0], 0, params)
    inside = set(one.code(store.noise).modules)
    seen = dict(changes(package, lambda: key_of("unet")))
    assert {name for name, changed in seen.items() if changed} == inside & set(seen)
    decisive = {"pixels", "files", "machine.compute", "networks.convolutions", "networks.unet", "noise.gaussian"}
    decisive |= {"networks.base", "trials.work", "trials.ledger", "training.checkpoints"}
    decisive |= {"metrics.psnr", "losses.mse", "optimizers.adam", "params.train", "noise.base"}
    assert {f"degrain.{name}" for name in decisive} <= inside
    others = {
        "networks.sinha2018",
        "networks.catalog",
        "noise.catalog",
        "noise.iso",
        "losses.catalog",
        "losses.huber",
        "losses.sum",
        "optimizers.muon",
        "optimizers.muon_rule",
        "report.html",
        "registry.promotion",
        "console",
        "params.results",
    }
    assert not {f"degrain.{name}" for name in others} & inside


def test_the_protocol_follows_each_module_of_its_closure_and_no_other(package: Path) -> None:
    def digest() -> str:
        forget()
        return protocol.digest("unet", "data", EvaluateParams(), CONDITIONS)

    followed = {name.removeprefix("degrain.") for name, changed in changes(package, digest) if changed}
    decisive = {"pixels", "evaluation.scoring", "metrics.psnr", "inference.tiling", "networks.unet"}
    assert decisive | {"evaluation.measurement", "evaluation.ranking", "evaluation.results"} <= followed
    others = {"networks.sinha2018", "report.html", "training.loop", "trials.ledger", "console", "baselines.tv"}
    assert not others & followed


def test_only_networks_of_one_size_follow_the_overlap_of_tiles() -> None:
    def digests_of(model: str) -> set[str]:
        return {protocol.digest(model, "data", EvaluateParams(overlap=size), CONDITIONS) for size in (8, 32)}

    assert [len(digests_of(model)) for model in ("unet", "bernier2021")] == [1, 2]


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("networks/base.py", "make(channels, size * self.times", "make(channels, 2 * size * self.times"),
        ("trials/work.py", "state.finish().state_dict()", "state.network.state_dict()"),
        ("trials/ledger.py", "value.detach().cpu()", "value.detach().half().float().cpu()"),
        ("training/state.py", "network = self.validated", "network = self.network"),
    ],
)
def test_a_key_follows_what_builds_the_network_and_what_writes_its_weights(
    package: Path, key_of: Callable[[str], str], module: str, old: str, new: str
) -> None:
    path, before = package / module, key_of("unet")
    source = path.read_text()
    assert source.count(old) == 1
    path.write_text(source.replace(old, new))
    assert key_of("unet") != before


@pytest.mark.parametrize("name", sorted(closure.CATALOGS))
def test_what_is_left_out_of_keys_computes_nothing(name: str) -> None:
    """Catalogs say what there is, as values that are in the keys; those of networks and of what ships look up."""
    tree = ast.parse(closure.modules()[name].read_text())
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef | ast.Lambda)]
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    returned = {ast.unparse(node.returns) for node in functions if node.returns and node.name != "build"}
    looked_up = {"degrain.networks.catalog": {"ModelSpec"}, "degrain.shipped.catalog": {"list[str]", "Path | None"}}
    assert returned <= looked_up.get(name, set())


def test_nothing_that_is_in_a_key_builds_networks_by_the_catalog(package: Path) -> None:
    code = closure.closure(WORK, "degrain.evaluation.measurement", without=closure.CATALOGS)
    assert not [name for name, path in code.modules.items() if "catalog.build" in path.read_text()]


def test_a_digest_of_a_network_follows_its_code_alone(package: Path) -> None:
    def digest() -> str:
        forget()
        return identity.digest("unet")

    followed = {name.removeprefix("degrain.") for name, changed in changes(package, digest) if changed}
    assert {"networks.unet", "networks.base", "networks.convolutions"} <= followed
    assert all(name.startswith("networks.") for name in followed)
    assert not {"networks.sinha2018", "networks.catalog"} & followed


def test_what_a_later_python_adds_to_syntax_trees_is_in_no_digest() -> None:
    trees = [ast.parse("def f(x: int) -> int:\n    return x\n") for _ in range(2)]
    for node in ast.walk(trees[1]):
        node._fields = (*node._fields, "added", "missing")
        node.added = []  # type: ignore[attr-defined]
    assert ast.dump(trees[0]) != ast.dump(trees[1])
    assert digests._plain(trees[0]) == digests._plain(trees[1])
    assert digests._plain(trees[0]) != digests._plain(ast.parse("def f(x: int) -> int:\n    return 1\n"))


def test_only_the_trials_of_a_loss_follow_its_file(
    package: Path, make_params: Callable[..., Params], store: PatchStore
) -> None:
    terms = [{"name": "huber"}, {"name": "mae"}]
    params = make_params(train={"models": ["unet"], "losses": ["mse", "huber", {"name": "sum", "terms": terms}]}).train

    def keys() -> list[str]:
        forget()
        return [Trial("unet", params.optimizers[0], loss, 0, params).key(store, PLACE) for loss in params.losses]

    def follow(file: str) -> list[bool]:
        path, before = package / "losses" / file, keys()
        source = path.read_text()
        path.write_text(source + "\nCHANGED = 1\n")
        changed = [one != other for one, other in zip(before, keys(), strict=True)]
        path.write_text(source)
        return changed

    assert follow("mse.py") == [True, False, False]
    assert follow("huber.py") == [False, True, True]
    assert follow("sum.py") == [False, False, True]
    assert follow("ssim.py") == [False, False, False]
    assert follow("base.py") == [True, True, True]


def test_a_new_module_beside_the_networks_changes_nothing(package: Path, key_of: Callable[[str], str]) -> None:
    def both() -> tuple[str, str]:
        return key_of("unet"), protocol.digest("unet", "data", EvaluateParams(), CONDITIONS)

    before = both()
    (package / "networks" / "unrelated.py").write_text("NEW = 1\n")
    assert both() == before


def test_a_half_written_file_is_named_where_it_is_read_and_stops_nothing_else(
    package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = protocol.versions()
    (package / "networks" / "wip.py").write_text("import torch\n\nLAYERS = (\n")
    forget()
    assert protocol.versions() == known
    words = "networks/wip.py: line 3: '(' was never closed"
    with pytest.raises(ParamsError, match=f"^{re.escape(words)}$"):
        closure.closure("degrain.networks.wip")
    assert dependencies.main([]) == 2
    assert capsys.readouterr().err == f"dependencies: {words}\n"


@pytest.mark.parametrize(
    ("module", "followed"),
    [
        ("rmsprop", {"rmsprop"}),
        ("muon_rule", {"muon"}),
        ("keras_rules", {"adagrad", "adam", "adamax", "adamw", "rmsprop", "sgd"}),
    ],
)
def test_a_change_of_an_optimizer_changes_the_keys_of_its_own_trials_alone(
    package: Path, make_params: Callable[..., Params], store: PatchStore, module: str, followed: set[str]
) -> None:
    names = [tag[1] for declared in OPTIMIZERS if (tag := kind_of(declared))]
    params = make_params(train={"models": ["unet"], "optimizers": names, "losses": ["mse"]}).train

    def keys() -> dict[str, str]:
        forget()
        return {trial.optimizer.name: trial.key(store, PLACE) for trial in expand(params, "unet")}

    before = keys()
    path = package / "optimizers" / f"{module}.py"
    path.write_text(mutated(path.read_text()))
    after = keys()
    assert {name for name in names if after[name] != before[name]} == followed


@pytest.mark.parametrize(
    "statement",
    [
        "from degrain.networks.rednet import build as borrowed",
        "from degrain.networks import rednet",
        "import degrain.networks.rednet",
        "from .rednet import build as borrowed",
        "from . import rednet",
        "from ..networks.rednet import build as borrowed",
        "def later():\n    from .rednet import build as borrowed",
    ],
)
def test_a_network_that_imports_from_another_ones_file_follows_it(
    package: Path, key_of: Callable[[str], str], statement: str
) -> None:
    unet, other = package / "networks" / "unet.py", package / "networks" / "rednet.py"
    unet.write_text(f"{unet.read_text()}\n{statement}\n")
    before = key_of("unet")
    other.write_text(mutated(other.read_text()))
    assert key_of("unet") != before


@pytest.mark.parametrize("change", ["docstring", "comment", "layout", "description"])
def test_texts_change_no_key(package: Path, key_of: Callable[[str], str], change: str) -> None:
    loop, params = package / "training" / "loop.py", package / "params" / "train.py"
    before = key_of("unet")
    edits: dict[str, tuple[Path, str, str]] = {
        "docstring": (loop, "The training loop, from top to bottom.", "The loop."),
        "comment": (loop, "\n\ndef train(", "\n\n# A comment.\ndef train("),
        "layout": (loop, "\n\n\ndef train(", "\n\n\n\n\ndef train("),
        "description": (params, "Epochs of each trial.", "How many epochs."),
    }
    path, old, new = edits[change]
    source = path.read_text()
    assert old in source
    path.write_text(source.replace(old, new))
    assert key_of("unet") == before


def test_versions_of_what_computes_are_part_of_the_key(
    monkeypatch: pytest.MonkeyPatch, key_of: Callable[[str], str]
) -> None:
    before = key_of("unet")
    version = digests._version
    for library in ("torch", "numpy", "opencv-python-headless", "albumentations", "scipy"):

        def other(name: str, library: str = library) -> Any:
            return "0" if name == library else version(name)

        monkeypatch.setattr(digests, "_version", other)
        assert key_of("unet") != before, library


@pytest.mark.parametrize("library", sorted(closure.IRRELEVANT_LIBRARIES))
def test_versions_of_what_computes_nothing_are_not(
    monkeypatch: pytest.MonkeyPatch, key_of: Callable[[str], str], library: str
) -> None:
    before = key_of("unet")
    version = digests._version
    monkeypatch.setattr(digests, "_version", lambda name: "0" if name == library else version(name))
    assert key_of("unet") == before


@pytest.mark.parametrize("name", ["loop.py.orig", "loop.py~", ".loop.py.swp", "notes.txt"])
def test_what_editors_leave_beside_code_changes_no_key(package: Path, key_of: Callable[[str], str], name: str) -> None:
    before = key_of("unet")
    for folder in ("training", "networks", "."):
        (package / folder / name).write_text("old")
    assert key_of("unet") == before


@pytest.mark.parametrize("name", ["tables/gains.txt", "gains.txt", "fast.cpython-311-x86_64-linux-gnu.so"])
def test_files_below_a_module_that_it_names_are_in_the_key(
    package: Path, key_of: Callable[[str], str], name: str
) -> None:
    module, beside = package / "networks" / "unet.py", package / "networks" / name
    code = "import degrain.networks.fast" if name.startswith("fast") else f"GAINS = {name.split('/')!r}"
    module.write_text(f"{module.read_text()}\n{code}\n")
    beside.parent.mkdir(exist_ok=True)
    beside.write_text("1.0")
    before = key_of("unet")
    beside.write_text("7.0")
    assert key_of("unet") != before


@pytest.mark.parametrize(
    ("line", "file"),
    [
        ("TABLE = 'tables/gain.txt'", "networks/tables/gain.txt"),
        ("TABLE = 'networks/tables/gain.txt'", "networks/tables/gain.txt"),
        ("TABLE = Path(__file__).with_suffix('.npy')", "networks/unet.npy"),
        ("TABLE = Path(__file__).with_name(f'gain{8}.npy')", "networks/gain8.npy"),
        ("TABLE = Path(__file__).with_name('gains')", "networks/gains"),
        ("TABLE = Path(__file__).parent / 'tables' / str(8)", "networks/tables/8"),
        ("TABLE = Path(__file__).parent.parent / 'gain.npy'", "gain.npy"),
        ("import importlib.resources", "networks/gain.txt"),
        ("from importlib import resources", "networks/gain.txt"),
        ("from importlib.resources import files", "networks/gain.txt"),
    ],
)
def test_a_file_that_a_module_may_read_is_in_the_key(package: Path, line: str, file: str) -> None:
    table = package / file
    table.parent.mkdir(exist_ok=True)
    table.write_text("1")
    with (package / "networks" / "unet.py").open("a") as code:
        code.write(f"\n{line}\n")
    forget()
    before = digests.code(closure.closure("degrain.networks.unet"))
    assert file in before
    table.write_text("2")
    forget()
    assert digests.code(closure.closure("degrain.networks.unet")) != before


LAYERS = "degrain.networks.layers"


def added(package: Path, line: str) -> None:
    """Add a line to the code of a network."""
    with (package / "networks" / "unet.py").open("a") as code:
        code.write(f"\n{line}\n")
    forget()


@pytest.mark.parametrize("line", [f"importlib.import_module({LAYERS!r})", f"__import__({LAYERS!r})"])
def test_what_is_imported_by_its_name_is_in_the_key(package: Path, key_of: Callable[[str], str], line: str) -> None:
    layers = package / "networks" / "layers.py"
    layers.write_text("SCALE = 1")
    added(package, line)
    before = key_of("unet")
    layers.write_text("SCALE = 2")
    assert key_of("unet") != before


@pytest.mark.parametrize(
    "line",
    [
        "importlib.import_module(f'degrain.networks.{NAME}')",
        "import_module('.layers', __package__)",
        "import_module(name=NAME)",
        "__import__('degrain.networks.' + NAME)",
        "from importlib import import_module as load",
        "load = importlib.import_module",
        "load = __import__",
        "importlib.util.spec_from_file_location('layers', 'layers.py')",
        "from importlib.machinery import SourceFileLoader as Loader",
        "SourceFileLoader('layers', 'layers.py').load_module()",
        "runpy.run_path('layers.py')",
        "exec(open('layers.py').read())",
        "SCALE = eval('2')",
        "sys.path.insert(0, 'layers')",
        "sys.path += ['layers']",
    ],
)
def test_code_that_no_import_names_is_refused(package: Path, line: str) -> None:
    added(package, line)
    with pytest.raises(ParamsError, match=r"^networks/unet\.py: it imports or runs code that no key can follow; "):
        closure.closure("degrain.networks.unet")


@pytest.mark.parametrize(
    "line",
    [
        "from degrain.networks.zoo.layers import SCALE",
        "from degrain.networks.zoo import layers",
        "import degrain.networks.zoo.layers",
        "from .zoo.layers import SCALE",
    ],
)
def test_code_of_degrain_that_is_in_no_file_of_it_is_refused(
    package: Path, tmp_path: Path, key_of: Callable[[str], str], line: str
) -> None:
    zoo = tmp_path / "zoo"
    zoo.mkdir()
    (zoo / "layers.py").write_text("SCALE = 1")
    (package / "networks" / "zoo").symlink_to(zoo)
    added(package, line)
    with pytest.raises(
        ParamsError, match=r"^networks/unet\.py: it imports degrain\.networks\.zoo.*, which is no file of"
    ):
        key_of("unet")


@pytest.fixture
def libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder from which Python imports first."""
    folder = tmp_path / "libraries"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    yield folder
    forget_libraries()


def forget_libraries() -> None:
    for cached in (
        digests._distributions,
        digests._by_import_name,
        digests._comes_from,
        digests._folder,
        digests._origin,
        digests._version,
    ):
        cached.cache_clear()
    importlib.invalidate_caches()


def installed(folder: Path, told: dict[str, Any] | None = None, scale: int = 1) -> None:
    """Put a library into a folder as pip does."""
    code, facts = folder / "mylayers" / "__init__.py", folder / "mylayers-1.dist-info"
    for path in (code.parent, facts):
        path.mkdir(exist_ok=True)
    code.write_text(f"SCALE = {scale}")
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: mylayers\nVersion: 1\n")
    (facts / "top_level.txt").write_text("mylayers\n")
    (facts / "RECORD").write_text(f"mylayers/__init__.py,sha256={files.sha256(code)},9\n")
    if told:
        (facts / "direct_url.json").write_text(json.dumps(told))
    forget_libraries()


def versions() -> dict[str, str]:
    forget()
    return digests.versions(closure.closure("degrain.networks.unet"))


@pytest.mark.parametrize("name", ["mylayers", "colorsys", "networkx"])
def test_a_library_that_is_not_the_installed_one_is_refused(
    package: Path, libraries: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delitem(sys.modules, name, raising=False)  # another test may have imported it
    (libraries / name).mkdir()
    (libraries / name / "__init__.py").write_text("SCALE = 1")
    forget_libraries()
    added(package, f"from {name} import SCALE")
    with pytest.raises(
        ParamsError, match=rf"^networks/unet\.py: {name} is (no installed package|not that of Python): "
    ):
        versions()


def test_a_library_that_is_installed_as_editable_is_refused(package: Path, libraries: Path) -> None:
    installed(libraries, {"url": "file:///x", "dir_info": {"editable": True}})
    added(package, "from mylayers import SCALE")
    with pytest.raises(ParamsError, match=r"^networks/unet\.py: mylayers is installed as editable: "):
        versions()


@pytest.mark.parametrize("told", [{"dir_info": {}}, {"vcs_info": {"vcs": "git", "commit_id": "1"}}, None])
def test_a_library_from_elsewhere_than_an_index_is_known_by_its_files(
    package: Path, libraries: Path, told: dict[str, Any] | None
) -> None:
    added(package, "from mylayers import SCALE")
    installed(libraries, told)
    before = versions()
    assert before["mylayers"].partition("+")[0] == "1"
    installed(libraries, told)
    assert versions() == before
    installed(libraries, told, scale=2)
    assert (versions() != before) == bool(told), "of an index a version never changes"


def test_a_library_that_is_optional_and_missing_is_no_mistake(package: Path) -> None:
    before = versions()
    added(package, "import not_there_at_all")
    assert versions() == before


# Compiled, and no part of any arithmetic; scikit-image reads files by pillow.
BYSTANDERS = {"markupsafe", "pillow", "pydantic-core", "pyyaml"}


def test_what_libraries_leave_to_other_compiled_ones_is_in_keys_and_protocol() -> None:
    declared = [
        module for module in closure.modules() if re.match(r"degrain\.(networks|noise|losses|optimizers)\.", module)
    ]
    found = closure.closure(WORK, *protocol.ROOTS, protocol.BASELINES, *declared)
    named = {canonicalize_name(name) for name in digests.versions(found)}
    needed = {name: set(compiled_below(name)) - named - BYSTANDERS for name in sorted(named)}
    assert {name: missing for name, missing in needed.items() if missing} == {}


def compiled_below(distribution: str) -> Iterator[str]:
    """The distributions with compiled modules that another needs, or that what it needs does."""
    known, waiting = {distribution}, [distribution]
    while waiting:
        for text in importlib.metadata.requires(waiting.pop()) or ():
            requirement = Requirement(text)
            name = canonicalize_name(requirement.name)
            if name in known or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
                continue
            known.add(name)
            waiting.append(name)
            # One whose version the other names exactly, as PyTorch does with those of CUDA, follows that one's version.
            named = any(one.operator == "==" for one in requirement.specifier)
            if not named and any(
                Path(file).suffix in closure.EXTENSIONS for file in importlib.metadata.files(name) or ()
            ):
                yield name


def test_templates_are_followed_by_their_names(package: Path) -> None:
    def found() -> dict[str, str]:
        forget()
        return digests.code(closure.closure("degrain.stages.report"))

    before = found()
    assert {"report/template.html", "report/leaderboard.html"} <= before.keys()
    (package / "report" / "template.html.orig").write_text("old")
    assert found() == before
    for name in ("template.html", "leaderboard.html"):
        path = package / "report" / name
        path.write_text(path.read_text() + "<p>")
        assert found() != before
        before = found()


def test_the_kind_of_machine_is_part_of_the_key(make_params: Callable[..., Params], store: PatchStore) -> None:
    params = make_params(train={"models": ["unet"]}).train
    one = Trial("unet", params.optimizers[0], params.losses[0], 0, params)
    assert one.key(store, Place(device="cpu", machine="AVX2")) != one.key(store, Place(device="cpu", machine="AVX512"))


@pytest.mark.parametrize(
    ("source", "is_code"),
    [
        ("", False),
        ("# a comment\n", False),
        ('"""A docstring."""\n', False),
        ('"""A docstring."""\n...\n"another"\n1\n', False),
        ("register()\n", True),
        ('"""A docstring."""\ntorch.set_num_threads(1)\n', True),
        ("settings.update(x=1), None\n", True),
        ("[register(name) for name in names]\n", True),
        ("(found := 1)\n", True),
        ('f"{register()}"\n', True),
        ("CHANGED.attribute\n", True),
        ("import degrain\n", True),
        ("pass\n", True),
        ("x: int\n", True),
    ],
)
def test_only_docstrings_and_constants_are_no_code(source: str, is_code: bool) -> None:
    assert closure._imports_of(source.encode(), "own.py", "degrain", frozenset(), frozenset()).has_code == is_code
