"""The study as a whole: reading params.yaml and saying what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, Field, ValidationError

from degrain.errors import ParamsError, nearest
from degrain.params.base import Section, kind_of, sections
from degrain.params.data import DataParams, StudyParams, ValidateParams
from degrain.params.prepare import PrepareParams
from degrain.params.results import EvaluateParams, RegisterParams, ReportParams
from degrain.params.train import TrainParams

DEFAULT_PATH = Path("params.yaml")


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
    """The keys that a section may hold; the path may pass through lists and the kinds of a union."""
    found: tuple[type[BaseModel], ...] = (Params,)
    for part in path:
        inner = [kind for section in found for kind in sections(section).get(str(part), ())]
        named = [section for section in found if kind_of(section) == part]
        found = tuple(inner or named or found)
    return [field.alias or name for section in found for name, field in section.model_fields.items()]
