"""What is half declared is refused in one line that begins with its file, whatever kind of thing it is."""

from __future__ import annotations

import compileall
import math
import os
import py_compile
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pytest
import torch
import yaml
from pydantic import BaseModel, Field
from torch import Tensor, nn

from degrain import catalogs
from degrain.baselines.base import RESERVED
from degrain.baselines.catalog import BASELINES
from degrain.declaration import sections
from degrain.errors import ParamsError
from degrain.losses.base import Loss
from degrain.metrics.catalog import METRICS
from degrain.networks import catalog, unet
from degrain.networks.base import ModelSpec
from degrain.noise import adding
from degrain.noise.base import Noise
from degrain.optimizers.base import Optimizer, Rule
from degrain.params.study import Params
from degrain.studies import array_probes, network_probes
from degrain.training.trial import Trial, expand
from tests.conftest import ROOT, merged, with_slow

PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r'```python title="src/degrain/([^"]+)"\n(.*?)```', PAGE, re.DOTALL))
CHANGES = re.findall(r"```diff\n(.*?)```", PAGE, re.DOTALL)
STUDY = {
    "prepare": {"noise": {"kind": "uniform", "width": 10}},
    "train": {"models": ["shallow"], "optimizers": ["radam"], "losses": ["relative"]},
    "evaluate": {"baselines": ["box"]},
}
NETWORK, NOISE, LOSS = "networks/shallow.py", "noise/uniform.py", "losses/relative.py"
OPTIMIZER, METRIC, BASELINE = "optimizers/radam.py", "metrics/mae.py", "baselines/box.py"
NETWORKS = "networks/catalog.py"
# Networks that are quickly built.
AT_ONCE = {"sinha2018", "bernier2021", "machinecurve2019", "datacamp2018", "opengenus2019", "venkataraman2022", "unet"}
HUGE = {"name": "sgd", "lr": 1e30}


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory, tiny: dict[str, Any]) -> Path:
    """The code with everything that docs/extending.md adds, and a study that names it."""
    folder = tmp_path_factory.mktemp("extended")
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in FILES.items():
        (folder / "src/degrain" / name).write_text(text)
    for change in CHANGES:
        subprocess.run(["git", "apply", "-"], cwd=folder, input=change, text=True, check=True)
    study = merged(tiny, STUDY)
    study["prepare"]["noise"] = STUDY["prepare"]["noise"]
    (folder / "params.yaml").write_text(yaml.safe_dump(study))
    # By the hashes of the files, some of which tests exchange within a second; those are compiled again.
    compileall.compile_dir(folder / "src", quiet=1, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)
    return folder


# What is said of files that lack the import of their base.
UNIMPORTABLE = [
    (METRIC, r"metrics/mae\.py: line \d+: NameError: name 'Metric' is not defined"),
    (LOSS, r"losses/relative\.py: line \d+: NameError: name 'Loss' is not defined"),
    (OPTIMIZER, r"optimizers/radam\.py: line \d+: NameError: name 'Optimizer' is not defined"),
    (NOISE, r"noise/uniform\.py: line \d+: NameError: name 'Noise' is not defined"),
    (BASELINE, r"baselines/box\.py: line \d+: NameError: name 'Baseline' is not defined"),
]


@pytest.mark.parametrize(("file", "words"), UNIMPORTABLE)
def test_a_declaration_that_cannot_be_imported_is_one_line(extended: Path, file: str, words: str) -> None:
    path = extended / "src/degrain" / file
    complete = path.read_text()
    path.write_text(re.sub(r"(?m)^from degrain\.\w+\.base import .*\n", "", complete))
    try:
        done = run(extended, "check")
        shown = run(extended, "--debug", "check") if file == METRIC else None
    finally:
        path.write_text(complete)
    assert done.returncode == 2
    assert re.fullmatch(f"degrain: {words}\n", done.stderr), done.stderr
    if shown:
        assert "Traceback" in shown.stderr


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "degrain", *command],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_is_complete_passes_the_check(extended: Path) -> None:
    done = run(extended, "check")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        (NETWORKS, '"shallow", radius', '"shalow", radius', "networks/shalow.py: there is no module"),
        (
            NETWORKS,
            '("shallow", Model',
            '("unet", Model',
            "networks/unet.py: the name 'unet' is taken by networks/shallow.py",
        ),
        (NETWORKS, '"shallow", radius=3', '"shallow"', "networks/shallow.py: shallow needs a receptive radius"),
        (NETWORKS, '"shallow", radius=3', '"shallow", radius="3"', "networks/shallow.py: radius: "),
        (NETWORKS, '"shallow", radius', '"shallow", {"depth": 3}, radius', "unexpected keyword argument 'depth'"),
        (NETWORK, "def build(", "def built(", "degrain.networks.shallow has no build; did you mean 'built'?"),
        (NETWORK, "channels: int, _size: int, width", "channels: int, *, width", "too many positional arguments"),
        (NETWORK, "def build(", "def build(:", "networks/shallow.py: "),
        (NOISE, "def draw(", "def drawn(", "UniformNoise lacks the method draw"),
        (NOISE, "clean: np.ndarray, draws: Draws", "clean: np.ndarray", "UniformNoise.draw cannot be called"),
        (NOISE, 'Literal["uniform"]', 'Literal["gaussian"]', "the name 'gaussian' is taken"),
        (NOISE, 'Literal["uniform"]', "str", "UniformNoise needs a name"),
        (LOSS, "def value(", "def values(", "Relative lacks the method value"),
        (LOSS, "output: Tensor, clean: Tensor", "output: Tensor", "Relative.value cannot be called"),
        (LOSS, 'Literal["relative"]', 'Literal["mse"]', "the name 'mse' is taken"),
        (LOSS, 'Literal["relative"]', "str", "Relative needs a name"),
        (LOSS, 'Literal["relative"]', 'Literal["relative", "mae"]', "Relative needs one name, not 'relative', 'mae'"),
        (OPTIMIZER, "torch.optim:RAdam", "torch.optim:RAdamm", "torch.optim has no RAdamm; did you mean 'RAdam'?"),
        (OPTIMIZER, "torch.optim:RAdam", "torch.optimm:RAdam", "there is no module torch.optimm"),
        (OPTIMIZER, '"eps": 1e-8', '"eps": 1e-8, "rho": 1', "unexpected keyword argument 'rho'"),
        (OPTIMIZER, "torch.optim:RAdam", "RAdam", "optimizers/radam.py: where: "),
        (OPTIMIZER, "    rules: ClassVar[Mapping[Preset, Rule]] = {", "    rules_: ClassVar = {", "RAdam needs rules"),
        (OPTIMIZER, 'Literal["radam"]', 'Literal["adam"]', "the name 'adam' is taken"),
        (METRIC, 'name="mae"', 'name="psnr"', "metrics/mae.py: the name 'psnr' is taken"),
        (METRIC, 'name="mae"', 'name=""', "metrics/mae.py: name: "),
        (METRIC, "measure=mae", "measure=None", "metrics/mae.py: measure: "),
        (METRIC, "METRIC = ", "OTHER = ", "metrics/mae.py: needs METRIC = Metric(...)"),
        (METRIC, "images: np.ndarray, clean: np.ndarray", "clean: np.ndarray", "measure cannot be called with 2"),
        (METRIC, "axis=(1, 2, 3)", "axis=(1, 2)", "mae returns the shape (2, 3), and (2,) is needed"),
        (METRIC, "clean.dtype).max)", "clean.dtype).most)", "mae does not work: AttributeError"),
        (
            BASELINE,
            'name="box"',
            'name="median"',
            "baselines/median.py: the name 'median' is taken by baselines/box.py",
        ),
        (BASELINE, 'name="box"', 'name="noisy"', "baselines/box.py: name: "),
        (BASELINE, "denoise=denoise", "denoise=None", "baselines/box.py: denoise: "),
        (BASELINE, '{"size_px": (3, 5)}', "{}", "baselines/box.py: candidates: "),
        (BASELINE, '{"size_px": (3, 5)}', '{"size_px": ()}', "baselines/box.py: candidates.size_px: "),
        (BASELINE, "noisy: np.ndarray, sigma: float, ", "noisy: np.ndarray, ", "denoise cannot be called with 3"),
        (BASELINE, "BASELINE = ", "OTHER = ", "baselines/box.py: needs BASELINE = Baseline(...)"),
    ],
)
def test_check_refuses_what_is_half_declared(extended: Path, file: str, old: str, new: str, words: str) -> None:
    path = extended / "src/degrain" / file
    complete = path.read_text()
    assert old in complete
    path.write_text(complete.replace(old, new))
    try:
        done = run(extended, "check")
    finally:
        path.write_text(complete)
    assert done.returncode == 2, done.stdout + done.stderr
    assert re.fullmatch(r"degrain: (networks|noise|losses|optimizers|metrics|baselines)/\w+\.py: .*\n", done.stderr)
    assert words in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("old", ["networks/shallow.py", "def build("])
def test_the_list_of_networks_refuses_one_without_code(extended: Path, old: str) -> None:
    path = extended / "src/degrain/networks/shallow.py"
    complete = path.read_text()
    path.unlink()
    if old in complete:
        path.write_text(complete.replace(old, "def built("))
    try:
        done = run(extended, "models")
    finally:
        path.write_text(complete)
    assert done.returncode == 2
    assert re.fullmatch(r"degrain: networks/shallow\.py: .*\n", done.stderr)


class Kernel(nn.Module):
    """One convolution, whose radius is half its kernel."""

    def __init__(self, channels: int, side: int, stride: int = 1) -> None:
        super().__init__()
        self.layer = nn.Conv2d(channels, channels, side, stride=stride, padding=side // 2)

    def forward(self, images: Tensor) -> Tensor:
        made: Tensor = self.layer(images)
        return made


class OfBatches(nn.Module):
    """Normalizes by the statistics of whatever is denoised together."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layer = nn.BatchNorm2d(channels, track_running_stats=False)

    def forward(self, images: Tensor) -> Tensor:
        made: Tensor = self.layer(images)
        return made


class Scaled(Kernel):
    """Scales by the extremes of whatever is denoised together."""

    def forward(self, images: Tensor) -> Tensor:
        least, most = images.min(), images.max()
        return super().forward((images - least) / (most - least)) * (most - least) + least


class Logarithm(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return torch.exp(torch.log(images - 0.001)) + 0.001


class Clamped(Kernel):
    """Changes its input, so that what is measured next sees another one."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images.clamp_(0.2, 0.8))


class Broken(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        raise RuntimeError("two\nlines")


@pytest.mark.parametrize(
    ("declared", "make", "words"),
    [
        ({"radius": 3}, lambda channels, size: Kernel(channels, 9), "declares radius=3, and its outputs depend on"),
        ({"radius": 0}, lambda channels, size: Kernel(channels, 15), "declares radius=0"),
        ({"radius": 1}, lambda channels, size: Kernel(channels, 3, stride=2), "returns the shape (2, 3, 9, 10)"),
        ({"fixed_size": True}, lambda channels, size: nn.Flatten(), "returns the shape (2, 3072)"),
        ({"radius": 1, "bounded": True}, lambda channels, size: Kernel(channels, 3), "declared to be bounded"),
        ({"fixed_size": True}, lambda channels, size: OfBatches(channels), "when others are denoised with it"),
        ({"fixed_size": True}, lambda channels, size: Scaled(channels, 3), "when others are denoised with it"),
        ({"radius": 0}, lambda channels, size: Logarithm(), "makes pixels of an image that are no finite numbers"),
        ({"radius": 1}, lambda channels, size: Clamped(channels, 3), "own writes into the images that it is given"),
        ({"radius": 1}, lambda channels, size: Broken(), "own does not work: RuntimeError: two"),
        ({"radius": 1}, lambda channels, size: None, "own does not work: AttributeError"),
    ],
)
def test_a_network_that_is_not_as_declared_is_refused_before_training(
    monkeypatch: pytest.MonkeyPatch, declared: dict[str, Any], make: Callable[..., Any], words: str
) -> None:
    monkeypatch.setattr(unet, "own", make, raising=False)
    monkeypatch.setitem(catalog.MODELS, "own", ModelSpec("Own", "degrain", "unet:own", **declared))
    with pytest.raises(ParamsError, match=rf"^networks/unet\.py: .*{re.escape(words)}"):
        network_probes.check_networks(["own"], 3, 32)


class Aligned(nn.Module):
    """Enlarges by how large the image is."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        enlarge = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        self.layers = nn.Sequential(nn.MaxPool2d(2), enlarge, nn.Conv2d(channels, channels, 3, padding=1))

    def forward(self, images: Tensor) -> Tensor:
        made: Tensor = self.layers(images)
        return made


class Placed(nn.Module):
    """Knows where in the image it is."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layer = nn.Conv2d(channels + 1, channels, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        rows = torch.linspace(0, 1, images.shape[2], dtype=images.dtype).view(1, 1, -1, 1)
        made: Tensor = self.layer(torch.cat([images, rows.expand(len(images), 1, *images.shape[2:])], 1))
        return made


@pytest.mark.parametrize(
    ("declared", "make"),
    [
        ({"radius": 6, "multiple": 2}, lambda channels, size: Aligned(channels)),
        ({"radius": 1}, lambda channels, size: Placed(channels)),
        ({"radius": 1}, lambda channels, size: nn.Conv2d(channels, channels, 3, padding=1, padding_mode="circular")),
    ],
)
def test_a_network_that_differs_in_tiles_is_refused_before_training(
    monkeypatch: pytest.MonkeyPatch, declared: dict[str, Any], make: Callable[..., Any]
) -> None:
    monkeypatch.setattr(unet, "own", make, raising=False)
    monkeypatch.setitem(catalog.MODELS, "own", ModelSpec("Own", "degrain", "unet:own", **declared))
    with pytest.raises(ParamsError, match="its outputs depend on the image's size, on the place in it"):
        network_probes.check_networks(["own"], 3, 32)


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate"])
def test_a_network_that_pads_in_another_way_is_let_through(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    def make(channels: int, size: int) -> nn.Module:
        return nn.Conv2d(channels, channels, 5, padding=2, padding_mode=mode)

    monkeypatch.setattr(unet, "own", make, raising=False)
    monkeypatch.setitem(catalog.MODELS, "own", ModelSpec("Own", "degrain", "unet:own", radius=2, smallest=3))
    network_probes.check_networks(["own"], 3, 32)


@pytest.mark.parametrize("side", [1, 3, 9])
def test_a_network_that_is_as_declared_is_let_through(monkeypatch: pytest.MonkeyPatch, side: int) -> None:
    monkeypatch.setattr(unet, "own", lambda channels, size: Kernel(channels, side), raising=False)
    monkeypatch.setitem(catalog.MODELS, "own", ModelSpec("Own", "degrain", "unet:own", radius=side // 2))
    before = torch.get_rng_state()
    network_probes.check_networks(["own"], 3, 32)
    assert torch.equal(before, torch.get_rng_state())


class Halving(nn.Module):
    """Makes images smaller by a factor and large again, as the networks with a grid do."""

    def __init__(self, factor: int, height: bool = True, width: bool = True) -> None:
        super().__init__()
        self.factors = (factor if height else 1, factor if width else 1)

    def forward(self, images: Tensor) -> Tensor:
        small = nn.functional.max_pool2d(images, self.factors)
        return nn.functional.interpolate(small, scale_factor=tuple(map(float, self.factors)))


class Adding(Halving):
    """The same with what was there before, which fails where the shapes differ."""

    def forward(self, images: Tensor) -> Tensor:
        return images + super().forward(images)


@pytest.mark.parametrize("kind", [Halving, Adding])
@pytest.mark.parametrize("sides", [{}, {"height": False}, {"width": False}])
@pytest.mark.parametrize(
    ("declared", "needed"),
    [(1, 2), (1, 3), (1, 16), (2, 4), (2, 6), (4, 8), (8, 16), (8, 24), (16, 32), (5, 25), (7, 14)],
)
def test_a_multiple_that_is_declared_too_small_is_refused(
    monkeypatch: pytest.MonkeyPatch, kind: Callable[..., nn.Module], sides: dict[str, bool], declared: int, needed: int
) -> None:
    monkeypatch.setattr(unet, "own", lambda channels, size: kind(needed, **sides), raising=False)
    spec = ModelSpec("Own", "degrain", "unet:own", multiple=declared, radius=needed)
    monkeypatch.setitem(catalog.MODELS, "own", replace(spec, multiple=needed))
    network_probes.check_networks(["own"], 3, 2 * needed)
    monkeypatch.setitem(catalog.MODELS, "own", spec)
    with pytest.raises(ParamsError, match=r"^networks/unet\.py: own (returns the shape|does not work: .*multiple=)"):
        network_probes.check_networks(["own"], 3, 32 * declared)


def _global_max(images: Tensor) -> Tensor:
    return nn.functional.max_pool2d(images, images.shape[2:])


def _without_gradient(images: Tensor) -> Tensor:
    with torch.no_grad():
        return images.mean(dim=(2, 3), keepdim=True)


def _place_of_the_largest(images: Tensor) -> Tensor:
    return images.flatten(1).argmax(1)[:, None, None, None] / images[0].numel()


FAR = {
    "detached mean": lambda images: images.mean(dim=(2, 3), keepdim=True).detach(),
    "mean without gradient": _without_gradient,
    "median": lambda images: images.flatten(1).median(1).values[:, None, None, None].detach(),
    "largest": _global_max,
    "place of the largest": _place_of_the_largest,
    "smallest": lambda images: images.amin(dim=(2, 3), keepdim=True).detach(),
    "count": lambda images: (images > 0.5).double().mean(dim=(2, 3), keepdim=True),
    "beyond by one": lambda images: torch.roll(images, 4, 2).round(),
}


class Looking(Kernel):
    """Adds something of the whole image that gradients need not show, behind weights that begin as zeros or tiny."""

    def __init__(self, channels: int, far: Callable[[Tensor], Tensor], first: float | None) -> None:
        super().__init__(channels, 7)
        self.far, self.last = far, nn.Conv2d(channels, channels, 1)
        if first is not None:
            nn.init.constant_(self.last.weight, first)

    def forward(self, images: Tensor) -> Tensor:
        made: Tensor = super().forward(images) + self.last(images * 0 + self.far(images).to(images.dtype))
        return made


@pytest.mark.parametrize("first", [None, 0, 1e-6])
@pytest.mark.parametrize("far", FAR)
def test_a_network_that_looks_farther_where_no_gradient_goes_is_refused(
    monkeypatch: pytest.MonkeyPatch, far: str, first: float | None
) -> None:
    monkeypatch.setattr(unet, "own", lambda channels, size: Looking(channels, FAR[far], first), raising=False)
    monkeypatch.setitem(catalog.MODELS, "own", ModelSpec("Own", "degrain", "unet:own", radius=3))
    with pytest.raises(ParamsError, match="own declares radius=3, and its outputs depend on pixels at least"):
        network_probes.check_networks(["own"], 3, 32)


@pytest.mark.parametrize("far", [torch.round, torch.detach, lambda images: nn.functional.max_pool2d(images, 7, 1, 3)])
def test_a_network_without_gradients_that_looks_no_farther_is_let_through(
    monkeypatch: pytest.MonkeyPatch, far: Callable[[Tensor], Tensor]
) -> None:
    monkeypatch.setattr(unet, "own", lambda channels, size: Looking(channels, far, first=None), raising=False)
    monkeypatch.setitem(catalog.MODELS, "own", ModelSpec("Own", "degrain", "unet:own", radius=3))
    network_probes.check_networks(["own"], 3, 32)


class Drawing(Kernel):
    """Multiplies by numbers that it draws when it is built, and keeps nowhere."""

    def __init__(self, channels: int, keep: bool = False) -> None:
        super().__init__(channels, 3)
        drawn = torch.rand(1, channels, 1, 1)
        self.drawn: Any
        if keep:
            self.register_buffer("drawn", drawn)
        else:
            self.drawn = drawn

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) * self.drawn


class Averaging(Kernel):
    """Subtracts the mean of all images that it was trained on, from a buffer."""

    def __init__(self, channels: int, persistent: bool) -> None:
        super().__init__(channels, 3)
        self.mean: Tensor
        self.register_buffer("mean", torch.zeros(()), persistent=persistent)

    def forward(self, images: Tensor) -> Tensor:
        if self.training:
            self.mean += images.mean().detach()
        return super().forward(images) - self.mean


class Counting(Kernel):
    """Counts its steps."""

    steps = 0

    def forward(self, images: Tensor) -> Tensor:
        self.steps += self.training
        return super().forward(images) / (1 + self.steps)


class Sharing(nn.Sequential):
    """One layer, twice."""

    def __init__(self, channels: int) -> None:
        layer = nn.Conv2d(channels, channels, 1)
        super().__init__(layer, layer)


class Stateful(Kernel):
    """Has a state that is no tensor."""

    def get_extra_state(self) -> dict[str, int]:
        return {"steps": 1}

    def set_extra_state(self, state: object) -> None:
        """Take it."""


class Deep(Kernel):
    """Returns what an auxiliary loss would need, too, but only in training."""

    def forward(self, images: Tensor) -> Any:
        made = super().forward(images)
        return (made, made) if self.training else made


class Narrow(Kernel):
    """Returns one channel in training."""

    def forward(self, images: Tensor) -> Tensor:
        made = super().forward(images)
        return made[:, :1] if self.training else made


def _trial(make_params: Callable[..., Params], monkeypatch: pytest.MonkeyPatch, make: Callable[..., Any]) -> Trial:
    monkeypatch.setattr(unet, "own", make, raising=False)
    monkeypatch.setitem(catalog.MODELS, "own", ModelSpec("Own", "degrain", "unet:own", radius=1))
    return expand(make_params(train={"models": ["own"]}).train, "own")[0]


ELSE = "own computes something else after its weights were saved and loaded: keep what it learns or draws in parameters"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda channels, size: Drawing(channels), ELSE),
        (lambda channels, size: Averaging(channels, persistent=False), ELSE),
        (lambda channels, size: Counting(channels, 3), ELSE),
        (lambda channels, size: Sharing(channels), "saving own does not work: RuntimeError: Some tensors share memory"),
        (lambda channels, size: Stateful(channels, 3), "saving own does not work: AttributeError: 'dict'"),
        (lambda channels, size: nn.LazyConv2d(channels, 1), "training own does not work: "),
        (lambda channels, size: nn.Identity(), "training own does not work: ValueError: optimizer got an empty"),
        (lambda channels, size: Deep(channels, 3), "own returns a tuple in training, not a tensor"),
        (lambda channels, size: Narrow(channels, 3), "own in training returns the shape (2, 1, 8, 8)"),
    ],
)
def test_a_network_that_cannot_be_trained_saved_and_loaded_is_refused(
    make_params: Callable[..., Params], monkeypatch: pytest.MonkeyPatch, make: Callable[..., Any], words: str
) -> None:
    trial = _trial(make_params, monkeypatch, make)
    with pytest.raises(ParamsError, match=rf"^networks/unet\.py: {re.escape(words)}"):
        network_probes.check_trials([trial], 3, 8)


@pytest.mark.parametrize(
    "make",
    [
        lambda channels, size: Drawing(channels, keep=True),
        lambda channels, size: Averaging(channels, persistent=True),
        lambda channels, size: nn.Sequential(Kernel(channels, 3), nn.BatchNorm2d(channels), nn.Dropout()),
    ],
)
@pytest.mark.parametrize("settings", [{}, {"ema": 0.9}, {"precision": "bfloat16"}, {"optimizers": [HUGE]}])
def test_a_network_that_keeps_what_it_draws_and_learns_is_let_through(
    make_params: Callable[..., Params],
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[..., Any],
    settings: dict[str, Any],
) -> None:
    trial = _trial(make_params, monkeypatch, make)
    params = make_params(train={"models": ["own"]} | settings).train
    before = torch.get_rng_state()
    network_probes.check_trials([replace(trial, params=params, optimizer=params.optimizers[0])], 3, 8)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("name", with_slow(catalog.MODELS, catalog.MODELS.keys() - AT_ONCE))
def test_networks_of_the_catalog_are_the_same_after_saving_and_loading(
    make_params: Callable[..., Params], name: str
) -> None:
    (trial, *_) = expand(make_params(train={"models": [name]}).train, name)
    network_probes.check_trials([trial], 1, 16)


class Each(Loss):
    name: Literal["each"] = "each"

    def value(self, output: Tensor, clean: Tensor) -> Tensor:
        return (output - clean).square().mean(dim=(1, 2, 3))


class Detached(Each):
    def value(self, output: Tensor, clean: Tensor) -> Tensor:
        return (output - clean).detach().square().mean()


class Total(Each):
    def value(self, output: Tensor, clean: Tensor) -> Tensor:
        return (output - clean).square().sum()


class Ranged(Each):
    def value(self, output: Tensor, clean: Tensor) -> Tensor:
        return (output - clean).abs().mean() / (clean.max() - clean.min())


class Moved(Each):
    def value(self, output: Tensor, clean: Tensor) -> Tensor:
        return (output - clean.clamp_(0.2, 0.8)).square().mean()


class Annealed(Each):
    calls: ClassVar = [0]

    def value(self, output: Tensor, clean: Tensor) -> Tensor:
        self.calls[0] += 1
        share = min(1.0, self.calls[0] / 2000)
        return ((1 - share) * (output - clean).abs() + share * (output - clean).square()).mean()


class Misled(Optimizer):
    rules: ClassVar = {"pytorch": Rule("torch.optim:SGD", {"lr": -1.0})}
    name: Literal["misled"] = "misled"


def test_losses_and_optimizers_that_do_not_work_are_refused_before_training(make_params: Callable[..., Params]) -> None:
    ((optimizer, loss), *_) = make_params().train.cells
    network_probes.check_cells([(optimizer, loss)], 3, 32)
    for cell, words in (
        ((optimizer, Each()), r"each returns the shape \(2,\), and \(\) is needed"),
        ((optimizer, Detached()), "each does not work: RuntimeError"),
        ((optimizer, Total()), "each is no mean over images"),
        ((optimizer, Ranged()), "each is no mean over images"),
        ((optimizer, Moved()), "each writes into the images that it is given"),
        ((optimizer, Annealed()), r"^studies/test_declarations\.py: each is another number when asked again"),
        ((Misled(), loss), "misled does not work: ValueError: Invalid learning rate"),
    ):
        with pytest.raises(ParamsError, match=words):
            network_probes.check_cells([cell], 3, 32)


class Momentum(torch.optim.Optimizer):
    """Momentum beside the count of steps, as older optimizers keep it."""

    def __init__(self, weights: Iterable[nn.Parameter], lr: float) -> None:
        super().__init__(weights, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for weight in group["params"]:
                state = self.state[weight]
                state.setdefault("step", 0)
                state["step"] += 1
                mean = state.setdefault("mean", torch.zeros_like(weight))
                mean.lerp_(weight.grad, 1 / state["step"])
                weight.add_(mean, alpha=-group["lr"])


class Shared(Momentum):
    """Keeps what is of no weight in its state."""

    def step(self, closure: Any = None) -> Any:
        self.state.setdefault("steps", 0)  # type: ignore[call-overload]
        self.state["steps"] += 1  # type: ignore[index]
        return super().step()


class Drawn(Momentum):
    """Adds noise from the generator that every step of training seeds."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        super().step()
        for weight in self.param_groups[0]["params"]:
            weight.add_(self.param_groups[0]["lr"] * 0.1 * torch.randn_like(weight))


class Lookahead(Momentum):
    """Keeps the slow weights and their count beside its state."""

    def __init__(self, weights: Iterable[nn.Parameter], lr: float) -> None:
        super().__init__(weights, lr)
        self.slow = [weight.detach().clone() for weight in self.param_groups[0]["params"]]
        self.count = 0

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        super().step()
        self.count += 1
        if self.count % 5 == 0:
            for slow, weight in zip(self.slow, self.param_groups[0]["params"], strict=True):
                weight.copy_(slow.lerp_(weight, 0.5))


class Unpacked(Momentum):
    """Has a set in its state."""

    def step(self, closure: Any = None) -> Any:
        super().step()
        for state in self.state.values():
            state["seen"] = {state["step"]}


class Joined(Momentum):
    """Has the same tensor in its state for all weights."""

    def step(self, closure: Any = None) -> Any:
        super().step()
        for state in self.state.values():
            state["all"] = self.state[self.param_groups[0]["params"][-1]]["mean"]


class Deaf(Momentum):
    """Keeps the learning rate that it began with."""

    def __init__(self, weights: Any, lr: float) -> None:
        super().__init__(weights, lr)
        self.rate = lr

    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            group["lr"] = self.rate
        super().step()


def _check_optimizer(loss: Loss, kind: type[torch.optim.Optimizer]) -> None:
    rules = {"pytorch": Rule(f"{__name__}:{kind.__name__}", {"lr": 0.1})}
    own = type("Own", (Optimizer,), {"rules": rules, "__module__": __name__})
    network_probes.check_cells([(own(name="own"), loss)], 3, 32)


@pytest.mark.parametrize("kind", [Momentum, Shared, Drawn])
def test_an_optimizer_may_keep_and_draw_what_a_checkpoint_holds(
    make_params: Callable[..., Params], kind: type[torch.optim.Optimizer]
) -> None:
    ((_, loss), *_) = make_params().train.cells
    before = torch.get_rng_state()
    _check_optimizer(loss, kind)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Lookahead, "own goes on differently after it was saved and restored: keep its state in state_dict$"),
        (Unpacked, "the state_dict of own may hold tensors and what JSON can hold alone$"),
        (Joined, "saving own does not work: RuntimeError: Some tensors share memory"),
        (Deaf, "own moves weights at the learning rate 0: take the rate from param_groups in each step"),
    ],
)
def test_an_optimizer_that_cannot_be_resumed_or_scheduled_is_refused_before_training(
    make_params: Callable[..., Params], kind: type[torch.optim.Optimizer], words: str
) -> None:
    ((_, loss), *_) = make_params().train.cells
    with pytest.raises(ParamsError, match=rf"^studies/test_declarations\.py: {words}"):
        _check_optimizer(loss, kind)


class Cut(Noise):
    kind: Literal["cut"] = "cut"

    def draw(self, clean: np.ndarray, draws: Any) -> np.ndarray:
        return clean[:, 1:]


class Turned(Cut):
    def draw(self, clean: np.ndarray, draws: Any) -> np.ndarray:
        return clean.swapaxes(1, 2)


class Fails(Cut):
    def draw(self, clean: np.ndarray, draws: Any) -> np.ndarray:
        raise KeyError("seed")


def test_noise_that_changes_the_shape_is_refused() -> None:
    with pytest.raises(ParamsError, match=r"cut returns the shape \(2, 15, 20, 3\)"):
        array_probes.check_noise(Cut(), [3])
    with pytest.raises(ParamsError, match=r"cut returns the shape \(2, 20, 16, 3\)"):
        array_probes.check_noise(Turned(), [3])


@pytest.mark.parametrize(("noise", "words"), [(Cut(), "cut returns the shape"), (Fails(), "cut does not work: KeyErr")])
def test_noise_that_fails_later_is_named_by_its_file(noise: Noise, words: str) -> None:
    with pytest.raises(ParamsError, match=rf"^studies/test_declarations\.py: {words}"):
        adding.add(noise, np.zeros((8, 8, 1), np.uint8), np.random.default_rng(0))


def _in_place(clean: np.ndarray, draws: Any) -> np.ndarray:
    for patch, draw in zip(clean, draws, strict=True):
        patch[:] = draw.integers(2, size=patch.shape)
    return clean


def _nan_of(level: int, clean: np.ndarray, draws: Any) -> np.ndarray:
    return np.where(clean == level, np.nan, clean)


DRAWN: dict[str, Callable[[np.ndarray, Any], Any]] = {
    "in turn": lambda clean, draws: np.stack([one + draw.normal() for one, draw in zip(clean, draws, strict=True)]),
    "first": lambda clean, draws: clean + next(iter(draws)).normal(size=clean.shape),
    # NOTE: it is one generator that is set anew for each patch.
    "list": lambda clean, draws: np.stack([one + draw.normal() for one, draw in zip(clean, list(draws), strict=True)]),
    "global": lambda clean, draws: clean + np.random.normal(size=clean.shape),
    "in place": _in_place,
    "clipped": lambda clean, draws: np.clip(clean, 1, 254, out=clean),
    "nan": lambda clean, draws: clean * np.nan,
    **{f"nan of {level}": partial(_nan_of, level) for level in (0, 255)},
    "nan of flat": lambda clean, draws: (clean - clean.mean()) / np.ptp(clean, axis=(1, 2, 3), keepdims=True),
}


class Own(Noise):
    kind: Literal["own"] = "own"
    way: str

    def draw(self, clean: np.ndarray, draws: Any) -> np.ndarray:
        return np.asarray(DRAWN[self.way](clean, draws))


@pytest.mark.parametrize(
    ("way", "words"),
    [
        ("in turn", ""),
        *((way, "own does not take the numbers of each patch from its ") for way in ("first", "list", "global")),
        *((way, "own does not work: .* read-only") for way in ("in place", "clipped")),
        *((way, "own makes pixels that are no finite numbers") for way in DRAWN if way.startswith("nan")),
    ],
)
def test_noise_of_a_patch_is_its_own_and_finite(way: str, words: str) -> None:
    with pytest.raises(ParamsError, match=words) if words else nullcontext():
        array_probes.check_noise(Own(way=way), [1, 3])


DRAWN_IN_8_BITS: dict[str, Callable[[np.ndarray, Any], Any]] = {
    "in turn": lambda clean, draws: np.stack(
        [one ^ draw.integers(2, size=one.shape, dtype=np.uint8) for one, draw in zip(clean, draws, strict=True)]
    ),
    "first": lambda clean, draws: clean ^ next(iter(draws)).integers(2, size=clean.shape, dtype=np.uint8),
    "in place": _in_place,
    "floats": lambda clean, draws: clean.astype(np.float32),
    "cut": lambda clean, draws: clean[:, 1:],
}


class In8Bits(Noise):
    kind: Literal["own"] = "own"
    way: str
    clip: bool = True

    def draw(self, clean: np.ndarray, draws: Any) -> np.ndarray:
        return clean.copy()

    def draw_8_bits(self, clean: np.ndarray, draws: Any) -> np.ndarray:
        return np.asarray(DRAWN_IN_8_BITS[self.way](clean, draws))


@pytest.mark.parametrize(
    ("way", "words"),
    [
        ("in turn", ""),
        ("first", "own does not take the numbers of each patch from its generator alone"),
        ("in place", "own does not work: .* read-only"),
        ("floats", "own returns float32, and uint8 is needed"),
        ("cut", r"own returns the shape \(2, 15, 20, 1\)"),
    ],
)
def test_noise_drawn_in_8_bits_is_checked_likewise(way: str, words: str) -> None:
    with pytest.raises(ParamsError, match=words) if words else nullcontext():
        array_probes.check_noise(In8Bits(way=way), [1, 3])


class TwoWays(Noise):
    """Has one deviation and mean by `draw`, and others in 8 bits and on a device."""

    kind: Literal["own"] = "own"
    clip: bool = True
    sigma: float
    mean: float
    times: int

    def draw(self, clean: np.ndarray, draws: Any) -> np.ndarray:
        return clean + np.stack([draw.normal(0, 25, clean.shape[1:]) for draw in draws]).astype(np.float32)

    def draw_8_bits(self, clean: np.ndarray, draws: Any) -> np.ndarray:
        noise = np.stack([draw.normal(self.mean, self.sigma, clean.shape[1:]) for draw in draws])
        noise = noise[:, :: self.times].repeat(self.times, axis=1)[:, : clean.shape[1]]
        return np.clip(np.rint(clean + noise), 0, 255).astype(np.uint8)

    def draw_on_device(self, clean: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
        noise = self.mean + self.sigma * torch.randn(clean.shape, generator=draw)
        return clean + noise[:, :: self.times].repeat_interleave(self.times, dim=1)[:, : clean.shape[1]]


@pytest.mark.parametrize(
    ("sigma", "mean", "times", "words"),
    [
        (25, 0, 1, ""),
        (20, 1, 1, ""),
        (1, 0, 1, "deviation (1|0.9)"),
        (80, 0, 1, "deviation [5-8]"),
        (25, 40, 1, "mean [34]"),
        (25, 0, 2, "neighbors 0.[2-4].* by draw"),
    ],
)
def test_noise_must_be_the_same_whatever_draws_it(sigma: float, mean: float, times: int, words: str) -> None:
    noise = TwoWays(sigma=sigma, mean=mean, times=times)
    for way, check in (
        ("draw_8_bits", array_probes.check_noise),
        ("draw_on_device", network_probes.check_device_noise),
    ):
        expected = f"own is not the same by {way} as by draw, .*{words}"
        with pytest.raises(ParamsError, match=expected) if words else nullcontext():
            check(noise, [1, 3])


def test_noise_is_drawn_in_8_bits_where_8_bits_are_kept() -> None:
    clean = np.full((8, 8, 1), 128, np.uint8)
    for change, dtype, kept in (({}, np.uint8, False), ({}, np.uint16, True), ({"clip": False}, np.uint8, True)):
        noisy = adding.add(In8Bits(way="in turn", **change), clean.astype(dtype), np.random.default_rng(0))
        assert np.array_equal(noisy, clean) == kept
    with pytest.raises(ParamsError, match=r"^studies/test_declarations\.py: own returns float32, and uint8 is needed"):
        adding.add(In8Bits(way="floats"), clean, np.random.default_rng(0))
    with pytest.raises(ParamsError, match=r"own does not work: .* read-only"):
        adding.add(In8Bits(way="in place"), clean, np.random.default_rng(0))
    assert (clean == 128).all()
    with pytest.raises(TypeError, match="own noise is not drawn in 8 bits"):
        Own(way="in turn").draw_8_bits(clean[None], [])


@pytest.mark.parametrize("clip", [True, False])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_noise_that_is_not_finite_reaches_no_store_and_no_batch(clip: bool, dtype: Any) -> None:
    with pytest.raises(ParamsError, match=r"^studies/test_declarations\.py: own makes pixels that are no finite numb"):
        adding.add(OnDevice(way="nan of 0", clip=clip), np.zeros((8, 8, 1), dtype), np.random.default_rng(0))


class OnDevice(Own):
    clip: bool = True

    def draw_on_device(self, clean: Tensor, draw: torch.Generator) -> Tensor:
        return torch.from_numpy(np.asarray(DRAWN[self.way](clean.numpy(), ()), np.float32))


@pytest.mark.parametrize(
    ("way", "words"),
    [
        ("nan of 0", "own makes pixels that are no finite numbers"),
        ("first", "own does not work: StopIteration"),
        ("clipped", "own writes into the images that it is given"),
    ],
)
def test_noise_drawn_on_a_device_is_tried_too(way: str, words: str) -> None:
    network_probes.check_device_noise(Own(way=way), [3])
    with pytest.raises(ParamsError, match=rf"^studies/test_declarations\.py: {words}"):
        network_probes.check_device_noise(OnDevice(way=way), [1, 3])


def test_every_baseline_is_tried_with_every_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    array_probes.check_baselines([name for name, one in BASELINES.items() if not one.needs], 1)
    median = BASELINES["median"]
    (option,) = median.candidates
    monkeypatch.setitem(BASELINES, "median", replace(median, candidates={option: (3, "wide")}))
    with pytest.raises(ParamsError, match=rf"^baselines/median\.py: median with {option}=wide does not work"):
        array_probes.check_baselines(["median"], 3)


UNFIT_FILTERS: dict[str, tuple[Callable[..., Any], str]] = {
    "cut": (lambda noisy, sigma, chosen: noisy[1:], r"returns the shape \(15, 20, 3\), and \(16, 20, 3\) is needed"),
    "channels first": (lambda noisy, sigma, chosen: np.moveaxis(noisy, 2, 0), r"returns the shape \(3, 16, 20\)"),
    "turned": (lambda noisy, sigma, chosen: noisy.swapaxes(0, 1), r"returns the shape \(20, 16, 3\)"),
    "flat": (lambda noisy, sigma, chosen: noisy.ravel(), r"returns the shape \(960,\)"),
    "nan": (lambda noisy, sigma, chosen: noisy * np.nan, "makes pixels that are no finite numbers"),
    "nothing": (lambda noisy, sigma, chosen: None, r"returns the shape \(\)"),
    "without a seed": (
        lambda noisy, sigma, chosen: noisy + np.random.normal(),
        "makes something else of an image when",
    ),
    "taking": (lambda noisy, sigma, chosen: noisy * chosen.pop("size_px"), "does not work: AttributeError"),
}


@pytest.mark.parametrize("kind", UNFIT_FILTERS)
def test_a_baseline_that_does_not_work_is_refused(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    denoise, words = UNFIT_FILTERS[kind]
    denoise.__module__ = BASELINES["median"].denoise.__module__
    monkeypatch.setitem(BASELINES, "median", replace(BASELINES["median"], denoise=denoise))
    with pytest.raises(ParamsError, match=rf"^baselines/median\.py: median with size_px=3 {words}"):
        array_probes.check_baselines(["median"], 3)


def test_a_baseline_may_drop_the_axis_of_one_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    dropping = replace(BASELINES["median"], denoise=lambda noisy, sigma, chosen: noisy[..., 0])
    monkeypatch.setitem(BASELINES, "median", dropping)
    array_probes.check_baselines(["median"], 1)
    with pytest.raises(ParamsError, match=r"returns the shape \(16, 20\), and \(16, 20, 3\) is needed"):
        array_probes.check_baselines(["median"], 3)


def measure_psnr_by(monkeypatch: pytest.MonkeyPatch, way: Callable[..., Any]) -> None:
    """Have the metric PSNR be computed in another way, by what counts as its own file."""

    def measure(images: np.ndarray, clean: np.ndarray) -> np.ndarray:
        return np.asarray(way(images, clean))

    measure.__module__ = METRICS["psnr"].measure.__module__
    monkeypatch.setitem(METRICS, "psnr", replace(METRICS["psnr"], measure=measure))


NOT_FINITE = {
    "equal": lambda images, clean: -np.log10(np.mean(np.square(images - clean.astype(float)), axis=(1, 2, 3))),
    "flat clean": lambda images, clean: np.mean(images, axis=(1, 2, 3)) / np.var(clean.astype(float), axis=(1, 2, 3)),
    "flat": lambda images, clean: np.mean(clean, axis=(1, 2, 3)) / np.var(images.astype(float), axis=(1, 2, 3)),
    "16 bits": lambda images, clean: np.full(len(images), np.nan if images.dtype == np.uint16 else 1.0),
    "white": lambda images, clean: 1 / np.mean(255.0 - images, axis=(1, 2, 3)),
}


@pytest.mark.parametrize("kind", NOT_FINITE)
def test_a_metric_that_is_not_finite_for_some_images_is_refused(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    measure_psnr_by(monkeypatch, NOT_FINITE[kind])
    with pytest.raises(ParamsError, match=r"^metrics/psnr\.py: psnr is (nan|inf) for .*, and must be a finite number$"):
        array_probes.check_metrics()


TOGETHER = {
    "brightest": lambda images, clean: (images / clean.max()).mean(axis=(1, 2, 3)),
    "darkest": lambda images, clean: (images - float(clean.min())).mean(axis=(1, 2, 3)),
    "mean": lambda images, clean: images.mean(axis=(1, 2, 3)) - clean.mean(),
    "count": lambda images, clean: np.full(len(images), 1 / len(images)),
    "order": lambda images, clean: np.arange(len(images)),
}


@pytest.mark.parametrize("kind", TOGETHER)
def test_a_metric_of_one_image_that_depends_on_the_others_is_refused(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    measure_psnr_by(monkeypatch, TOGETHER[kind])
    with pytest.raises(ParamsError, match=r"^metrics/psnr\.py: psnr gives images of 8 bits other numbers together"):
        array_probes.check_metrics()


UNFIT = {
    "one channel": lambda images, clean: (images.astype(float) @ np.ones(3)).mean(axis=(1, 2)),
    "others": lambda images, clean: np.clip(images, 9, None, out=images).mean(axis=(1, 2, 3)),
}


@pytest.mark.parametrize("kind", UNFIT)
def test_a_metric_that_fails_on_gray_or_writes_to_images_is_refused(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    measure_psnr_by(monkeypatch, UNFIT[kind])
    with pytest.raises(ParamsError, match=r"^metrics/psnr\.py: psnr does not work: ValueError: "):
        array_probes.check_metrics()


@dataclass
class Unhashable:
    """A metric with a state of its own, which Python cannot hash."""

    value: float = 1.0

    def __call__(self, images: np.ndarray, clean: np.ndarray) -> np.ndarray:
        return np.full(len(images), self.value)


def test_a_metric_may_be_any_callable(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, known in ((1.0, nullcontext()), (np.nan, pytest.raises(ParamsError, match="psnr is nan"))):
        monkeypatch.setitem(METRICS, "psnr", replace(METRICS["psnr"], measure=Unhashable(value)))
        with known:
            array_probes.check_metrics()


def test_a_partial_metric_that_fails_is_named_by_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    measure = partial(partial(METRICS["psnr"].measure), unknown=1)
    monkeypatch.setitem(METRICS, "psnr", replace(METRICS["psnr"], measure=measure))
    with pytest.raises(ParamsError, match=r"^metrics/psnr\.py: psnr does not work"):
        array_probes.check_metrics()


class Wide(Noise):
    kind: Literal["wide"] = "wide"

    def draw(self, clean: np.ndarray, draws: Any) -> np.ndarray:
        return clean


def _declared(annotation: Any, default: Any = ...) -> type[Noise]:
    """A kind of noise with a width that is declared in some way."""
    body = {"__annotations__": {"width": annotation}, "__module__": __name__}
    return type("Own", (Wide,), body if default is ... else {**body, "width": default})


@pytest.mark.filterwarnings("ignore:Using extra keyword arguments")
@pytest.mark.parametrize(
    ("annotation", "default", "words"),
    [
        (float, lambda: Field(0.0, gt=0), "width: the default 0.0 is refused: Input should be greater than 0"),
        (Annotated[float, Field(le=1)], lambda: 2.0, "width: the default 2.0 is refused: Input should be less than"),
        (float, lambda: Field(default_factory=lambda: "wide"), "width: the default 'wide' is refused: "),
        (float, lambda: Field(gt=0, defualt=0.01), "width: Field takes no 'defualt'; did you mean 'default'?"),
        ("float | Annotated[int, Field(gt=0, lt=9, discription='')] | None", lambda: None, "no 'discription'; did"),
        ("Widht", lambda: 1.0, "Own: Widht is not defined"),
    ],
)
def test_parameters_are_declared_with_what_they_allow(annotation: Any, default: Any, words: str) -> None:
    catalogs.classes(Noise, _declared(float, Field(1.0, gt=0)) | Cut)
    with pytest.raises(ParamsError, match=rf"^studies/test_declarations\.py: .*{re.escape(words)}"):
        catalogs.classes(Noise, _declared(annotation, default()) | Cut)


def test_parameters_of_all_sections_are_declared_with_what_they_allow() -> None:
    waiting: list[type[BaseModel]] = [Params]
    seen: set[type[BaseModel]] = set()
    while waiting:
        section = waiting.pop()
        if section not in seen:
            seen.add(section)
            catalogs.check_section(section.__module__, section)
            waiting += [inner for kinds in sections(section).values() for inner in kinds]
    assert len(seen) > 40


NO_JSON = [{8, 16}, math.sqrt, math.nan, np.int64(8), {8: 16}, [1, (2, 3j)], b"8"]


@pytest.mark.parametrize("value", NO_JSON, ids=repr)
def test_options_that_no_record_can_hold_are_refused(value: object) -> None:
    spec = ModelSpec("Own", "degrain", "own", {"depth": 3, "widths": value}, radius=1)
    with pytest.raises(ParamsError, match=r"^networks/own\.py: options of own: should be .*, got {'depth': 3, "):
        catalogs.networks([("own", spec)])
    for rule in (Rule("torch.optim:SGD", {"lr": value}), Rule("torch.optim:SGD", {}, {"foreach": value})):
        rules = {"pytorch": rule}
        with pytest.raises(ParamsError, match=r"^studies/test_declarations\.py: (options|constants): should be "):
            catalogs.optimizers([type("Own", (Optimizer,), {"rules": rules, "__module__": __name__})])


def test_options_that_records_can_hold_are_let_through() -> None:
    options = {"widths": (8, 16), "act": "relu", "slope": 0.1, "bias": True, "norm": None, "blocks": [{"depth": [1]}]}
    catalogs.networks([("own", ModelSpec("Own", "degrain", "own", options, radius=1))])


def _with_candidates(*values: object) -> None:
    baseline = replace(BASELINES["median"], candidates={"mode": values})
    catalogs.by_name([("own", "baselines/own.py", baseline)])


def test_candidates_are_numbers_texts_true_or_false() -> None:
    _with_candidates(3, 0.5, np.float64(0.5), True, "reflect")
    for value in (("reflect", "nearest"), np.inf, np.nan, None, np.int64(3), 1j, {"mode": "reflect"}, np.ones(2)):
        words = r"^baselines/own\.py: candidates\.mode\.1: .*should be a finite number, a text, true or false, got "
        with pytest.raises(ParamsError, match=words):
            _with_candidates("reflect", value)


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_no_baseline_is_called_what_tables_call_something_else(name: str) -> None:
    with pytest.raises(ParamsError, match=r"^baselines/own\.py: name: "):
        catalogs.by_name([(name, "baselines/own.py", replace(BASELINES["median"], name=name))])


def test_metrics_of_the_catalog_are_as_declared() -> None:
    assert METRICS
    array_probes.check_metrics()
