"""The study, typed: what params.yaml may say, and what each parameter means.

The texts of the fields are the reference page docs/params.md (`degrain params` prints it).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from degrain.errors import ParamsError, nearest

DEFAULT_PATH = Path("params.yaml")


class Section(BaseModel):
    """A part of params.yaml: unknown keys are refused, values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class StudyParams(Section):
    """Which question is asked."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", description="Short name, as in `-S study=NAME`.")
    title: str = Field(description="One line for the head of the report.")


class DataParams(Section):
    """Which images."""

    dataset: str = Field(description="A data set of the catalog.")


class ValidateParams(Section):
    """What the images must be like before anything is computed from them."""

    min_images: int = Field(1, ge=1, description="At least this many images.")
    channels: list[Literal[1, 3]] = Field([3], min_length=1, description="Allowed numbers of channels.")
    min_side: int = Field(64, ge=1, description="Smallest width and height, in pixels.")
    min_std: float = Field(2.0, ge=0, description="Least standard deviation over an image, in 8-bit levels.")
    max_saturated: float = Field(0.5, ge=0, le=1, description="Largest share of values at 0 or at the maximum.")
    on_failure: Literal["stop", "quarantine"] = Field(
        "stop", description="`stop` ends the run with the images' names; `quarantine` goes on without them."
    )


class NoiseParams(Section):
    """Which noise is added to the clean images."""

    kind: Literal["gaussian"] = Field("gaussian", description="Kind of noise.")
    sigma: float = Field(25.0, ge=1, le=255, description="Standard deviation, in 8-bit levels.")
    clip: bool = Field(
        True,
        description="Clip the noisy image to [0, 255] and round it to 8 bits, as an image file holds it.",
    )


class SplitParams(Section):
    """Which sources are held out. Every other source is for training."""

    val: list[str] | float = Field(description="Sources by name, or the share of sources, for choosing models.")
    test: list[str] | float = Field(description="The same for the final measurement.")

    @model_validator(mode="after")
    def _is_possible(self) -> SplitParams:
        if isinstance(self.val, list) and isinstance(self.test, list):
            both = sorted(set(self.val) & set(self.test))
            if both:
                raise ValueError(f"{', '.join(both)} cannot be in val and in test")
        for share in (self.val, self.test):
            if isinstance(share, float) and not 0 < share < 1:
                raise ValueError("a share must lie between 0 and 1")
        return self


class PrepareParams(Section):
    """How patches are cut, held out and made noisy."""

    seed: int = Field(0, ge=0, description="Seed of splits by share and of the fixed noise.")
    patch_size: int = Field(64, ge=16, description="Side of the square patches, in pixels.")
    stride: int = Field(64, ge=1, description="Distance between neighbouring patches, in pixels.")
    min_std: float = Field(
        0.0,
        ge=0,
        description="Training patches with a smaller standard deviation (8-bit levels) are left out.",
    )
    split: SplitParams
    noise: NoiseParams = Field(default_factory=NoiseParams)


DecayRate = Annotated[float, Field(ge=0, lt=1)]


class OptimizerParams(Section):
    """One optimizer of the grid; in params.yaml its name alone will do."""

    name: str = Field(description="`adam` or `adadelta`.")
    label: str = Field(
        "",
        pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]*)?$",
        description="Name in trials and tables, when one optimizer stands twice in a grid.",
    )
    lr: float | None = Field(None, gt=0, description="Learning rate; the optimizer's published default if absent.")
    betas: tuple[DecayRate, DecayRate] | None = Field(None, description="Adam's decay rates.")
    rho: float | None = Field(None, gt=0, lt=1, description="Adadelta's decay rate.")

    @property
    def title(self) -> str:
        """The name in trials and tables."""
        return self.label or self.name


def _spelled_out(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


class TrainParams(Section):
    """The grid: every model with every optimizer, loss and seed."""

    models: list[str] = Field(min_length=1, description="Models of the catalog.")
    optimizers: list[Annotated[OptimizerParams, BeforeValidator(_spelled_out)]] = Field(
        min_length=1, description="Optimizers: a name, or a mapping with name and options."
    )
    losses: list[str] = Field(min_length=1, description="Training losses: `mse`, `mae`.")
    seeds: list[int] = Field([0], min_length=1, description="One trial per seed: first weights, order, noise.")
    epochs: int = Field(10, ge=1, description="Epochs of each trial.")
    patches_per_epoch: int = Field(
        0, ge=0, description="Patches of one epoch; 0 is all. Epochs go on where the last one stopped."
    )
    batch_size: int = Field(8, ge=1, description="Patches per optimizer step.")
    schedule: Literal["constant", "cosine"] = Field(
        "constant", description="Learning rate over the steps: constant, or falling to 0 as half a cosine."
    )
    warmup_steps: int = Field(0, ge=0, description="Steps over which the learning rate first rises from 0.")
    augment: Literal["none", "dihedral"] = Field(
        "dihedral", description="Fresh geometric augmentation: none, or one of the 8 flips and quarter turns."
    )
    threads: int = Field(
        1, ge=1, description="CPU threads of one trial; on the other cores further trials run side by side."
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where to compute.")

    @model_validator(mode="after")
    def _names_each_cell_once(self) -> TrainParams:
        axes = {
            "models": self.models,
            "optimizers": [optimizer.title for optimizer in self.optimizers],
            "losses": self.losses,
            "seeds": self.seeds,
        }
        for axis, values in axes.items():
            twice = sorted({str(value) for value in values if values.count(value) > 1})  # type: ignore[attr-defined]
            if twice:
                raise ValueError(f"{axis}: {', '.join(twice)} stands there twice")
        return self


class EvaluateParams(Section):
    """How the trained models are measured."""

    baselines: list[str] = Field(
        ["gaussian", "median", "bilateral", "wavelet", "nlm", "tv"],
        description="Classical denoisers to compare with; parameters are chosen on the validation split.",
    )
    tile: int = Field(256, ge=16, description="Side of the tiles of a whole photograph, in pixels.")
    overlap: int = Field(32, ge=0, description="Overlap of neighbouring tiles, in pixels.")
    bootstrap: int = Field(2000, ge=100, description="Resamples behind each interval.")
    confidence: float = Field(0.95, gt=0, lt=1, description="Coverage of each interval.")

    @model_validator(mode="after")
    def _is_possible(self) -> EvaluateParams:
        if 2 * self.overlap > self.tile:
            raise ValueError("overlap cannot be more than half of tile")
        twice = sorted({name for name in self.baselines if self.baselines.count(name) > 1})
        if twice:
            raise ValueError(f"baselines: {', '.join(twice)} stands there twice")
        return self


class ReportParams(Section):
    """What the report shows."""

    strips: int = Field(6, ge=1, le=24, description="Test patches shown for each model.")


class RegisterParams(Section):
    """Where the best model goes, and what it must prove first."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="Experiment and registered model in MLflow.")
    min_gain: float = Field(
        0.0, ge=0, description="dB by which it must beat the noisy input and each classical baseline."
    )


class Params(Section):
    """The whole of params.yaml."""

    study: StudyParams
    data: DataParams
    validation: ValidateParams = Field(alias="validate")
    prepare: PrepareParams
    train: TrainParams
    evaluate: EvaluateParams
    report: ReportParams
    register_: RegisterParams = Field(alias="register")


def load_params(path: Path = DEFAULT_PATH) -> Params:
    """Read and check a study.

    Args:
        path: A YAML file with the sections of `Params`.

    Returns:
        The typed parameters.

    Raises:
        ParamsError: The file is missing or is no YAML mapping, a key is unknown (with the nearest known one), or a
            value is impossible. One line, naming the parameter by its path.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParamsError(f"{path} is not here; run degrain in the project's folder, or name it: --params") from None
    except OSError as error:
        raise ParamsError(f"cannot read {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path} is no readable YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise ParamsError(f"{path} must hold a mapping of sections, such as `train:`")
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        raise ParamsError(f"{path}: {'; '.join(_explain(problem, raw) for problem in error.errors())}") from None


def _explain(problem: Any, raw: dict[str, Any]) -> str:
    """Turn one pydantic error into half a line that names the parameter as the user wrote it."""
    where = ".".join(str(part) for part in problem["loc"] if not str(part).startswith(("list[", "function-")))
    message = problem["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if problem["type"] == "extra_forbidden":
        return f"{where} is not a parameter{nearest(str(problem['loc'][-1]), _known_keys(problem['loc'][:-1]))}"
    if problem["type"] == "missing":
        return f"{where} is missing"
    value = raw
    for part in problem["loc"]:
        try:
            value = value[part]
        except (KeyError, TypeError, IndexError):
            break
    shown = "" if isinstance(value, dict) else f" is {value!r}"
    return f"{where}{shown}: {message[0].lower()}{message[1:]}"


def _known_keys(path: tuple[str | int, ...]) -> list[str]:
    section: type[BaseModel] = Params
    for part in path:
        inner = _sections(section).get(str(part))
        section = inner or section
    return [field.alias or name for name, field in section.model_fields.items()]


def _sections(section: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """The sections directly inside one, by the name that params.yaml uses; those of lists too."""
    inner = {}
    for name, field in section.model_fields.items():
        if kind := _section_within(field.annotation):
            inner[field.alias or name] = kind
    return inner


def _section_within(annotation: Any) -> type[BaseModel] | None:
    """The section that a type is or, as in list[Annotated[Section, ...]], is made of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_section_within, get_args(annotation))), None)


def reference() -> str:
    """Return the reference of all parameters as Markdown: one table per section."""
    lines = [
        "# Parameters",
        "",
        "Generated by `degrain params`; the texts live in `src/degrain/params.py`.",
        "",
    ]
    _describe("", Params, lines)
    return "\n".join(lines)


def _describe(path: str, section: type[BaseModel], lines: list[str]) -> None:
    inner = _sections(section)
    plain = {name: field for name, field in section.model_fields.items() if (field.alias or name) not in inner}
    if path:
        lines += [f"## `{path}`", "", (section.__doc__ or "").strip(), ""]
    if plain:
        lines += ["| parameter | default | meaning |", "|---|---|---|"]
        for name, field in plain.items():
            default = "required" if field.is_required() else f"`{field.default}`"
            lines.append(f"| `{path}.{field.alias or name}` | {default} | {field.description} |")
        lines.append("")
    for name, kind in inner.items():
        _describe(f"{path}.{name}" if path else name, kind, lines)
