"""The study as a whole: reading params.yaml and saying what is wrong with it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from degrain import files
from degrain.declaration import Section, kind_of, sections
from degrain.errors import ParamsError, nearest
from degrain.params import yaml_text
from degrain.params.data import DataParams, StudyParams, ValidateParams
from degrain.params.prepare import PrepareParams
from degrain.params.results import EvaluateParams, RegisterParams, ReportParams
from degrain.params.train import TrainParams

# Bytes of a file with a study, far above what one needs.
LARGEST = 1 << 20
# What pydantic says in terms of Python, said in terms of YAML.
PLAIN = {
    "model_type": "should be a mapping of parameters",
    "model_attributes_type": "should be a mapping of parameters",
    "dict_type": "should be a mapping",
    "list_type": "should be a list",
}


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


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check a study.

    Args:
        path: A YAML file with the sections of `Params`.

    Returns:
        The typed parameters.

    Raises:
        ParamsError: The file is missing, a pipe or a device, larger than `LARGEST` or no YAML mapping, a key stands
            there twice or is unknown (with the nearest known one), or a value is impossible. One line, naming the
            parameter by its path.
    """
    try:
        return parsed(files.contents(path, LARGEST), str(path))
    except FileNotFoundError:
        raise ParamsError(f"{path} is not here; run degrain in the project's folder, or name it: --params") from None
    except OSError as error:
        raise ParamsError(f"cannot read {path}: {error.strerror}") from error


def parsed(content: bytes, name: str) -> Params:
    """Check a study.

    Args:
        content: Of a params.yaml.
        name: Of the file, for messages.

    Raises:
        ParamsError: As of `load_params`.
    """
    try:
        raw = yaml_text.load(content.decode())
    except UnicodeDecodeError as error:
        raise ParamsError(f"{name} is no text in UTF-8: {error}") from error
    except yaml_text.Mistake as error:
        raise ParamsError(f"{name}: {error}") from None
    if not isinstance(raw, dict):
        raise ParamsError(f"{name} must hold a mapping of sections, such as `train:`")
    return parse(raw, name)


def parse(raw: dict[str, Any], name: str) -> Params:
    """Check a study.

    Args:
        raw: The sections of `Params`, as YAML holds them.
        name: Where they come from, for messages.

    Raises:
        ParamsError: As of `load_params`.
    """
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        raise ParamsError(f"{name}: {explained(error.errors(), raw)}") from None


def explained(problems: list[Any], raw: dict[str, Any]) -> str:
    """Turn pydantic's errors into half a line for each parameter, named as the user wrote it."""
    by_place: dict[str, list[Any]] = {}
    for problem in problems:
        by_place.setdefault(_place(problem, raw), []).append(problem)
    return "; ".join(_explain_place(place, found) for place, found in by_place.items())


def _place(problem: Any, raw: dict[str, Any]) -> str:
    """Where a parameter stands in the file; pydantic's own names of types and of a union's kinds are left out."""
    place, value = [], raw
    for part in problem["loc"]:
        within = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
        if part in within:
            place.append(str(part))
            value = value[part]
    if problem["type"] == "missing":
        place.append(str(problem["loc"][-1]))
    if problem["type"] == "union_tag_not_found":
        place.append(problem["ctx"]["discriminator"].strip("'"))
    return ".".join(place)


def _explain_place(place: str, problems: list[Any]) -> str:
    first = problems[0]
    if first["type"] == "extra_forbidden":
        return f"{place} is not a parameter{nearest(str(first['loc'][-1]), _known_keys(first['loc'][:-1]))}"
    if first["type"] in ("missing", "union_tag_not_found"):
        return f"{place} is missing"
    if first["type"].startswith("union_tag_"):
        place += "." + first["ctx"]["discriminator"].strip("'")
    if first["type"] == "union_tag_not_found":
        return f"{place} is missing"
    if first["type"] == "union_tag_invalid":
        tag, known = first["ctx"]["tag"], first["ctx"]["expected_tags"].replace("'", "").split(", ")
        return f"{place} is {tag!r}: there is none{nearest(tag, known)}"
    literals = [problem["ctx"]["expected"] for problem in problems if problem["type"] == "literal_error"]
    if literals and isinstance(first["input"], str):
        known = [name for names in literals for name in re.findall("'([^']*)'", names)]
        return f"{place} is {first['input']!r}: there is none{nearest(first['input'], known)}"
    # NOTE: of a union of types pydantic tells what each one misses. What has the right type says more.
    wrong_type = ("_type", "_parsing", "literal_error")
    telling = [problem for problem in problems if not problem["type"].endswith(wrong_type)] or problems
    messages = dict.fromkeys(PLAIN.get(p["type"], p["msg"].removeprefix("Value error, ")) for p in telling)
    messages = dict.fromkeys(message.removeprefix("Input ") for message in messages)
    message = ", or ".join(messages)
    shown = "" if isinstance(first["input"], dict) or not place else f" is {first['input']!r}"
    return f"{place or 'params'}{shown}: {message[0].lower()}{message[1:]}"


def _known_keys(path: tuple[str | int, ...]) -> list[str]:
    """The keys that a section may hold; the path may pass through lists and the kinds of a union."""
    found: tuple[type[BaseModel], ...] = (Params,)
    for part in path:
        inner = [kind for section in found for kind in sections(section).get(str(part), ())]
        named = [section for section in found if (tag := kind_of(section)) and tag[1] == part]
        found = tuple(inner or named or found)
    return [field.alias or name for section in found for name, field in section.model_fields.items()]
