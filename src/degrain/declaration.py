"""What parameters are declared with: sections of params.yaml, noise kinds, losses and optimizers alike."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo


class Section(BaseModel):
    """A part of params.yaml: unknown keys are refused, values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, coerce_numbers_to_str=True)

    @model_validator(mode="before")
    @classmethod
    def _true_is_no_number(cls, content: object) -> object:
        """Refuse what Python would take for 1 or 0."""
        fields = {field.alias or name: field for name, field in cls.model_fields.items()}
        for name, value in content.items() if isinstance(content, dict) else ():
            values = value if isinstance(value, (list, tuple)) else [value]
            found = [one for one in values if isinstance(one, bool)]
            if name in fields and found and bool not in _atoms(fields[name].annotation):
                raise ValueError(f"{name} is {str(found[0]).lower()}, which is neither a number nor a name")
        return content


def _atoms(annotation: Any) -> set[Any]:
    """The types that a type is made of."""
    return {atom for part in get_args(annotation) for atom in _atoms(part)} or {annotation}


def composed(name: str) -> str:
    """Return a name with accents as part of their letters (Unicode's NFC), so that equal names are equal strings."""
    return unicodedata.normalize("NFC", name)


# What an image, a scene or a class is called; file systems and keyboards differ in how they write accents.
Name = Annotated[str, Field(max_length=255), AfterValidator(composed)]
# What random numbers are derived from.
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
# What a person calls something in trials and tables.
Label = Annotated[str, Field(max_length=64, pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]*)?$")]


def sections(section: type[BaseModel]) -> dict[str, tuple[type[BaseModel], ...]]:
    """The sections directly inside one, by the name that params.yaml uses; those of lists and unions too."""
    inner = {}
    for name, field in section.model_fields.items():
        if kinds := tuple(dict.fromkeys(_sections_within(field.annotation))):
            inner[field.alias or name] = kinds
    return inner


def _sections_within(annotation: Any) -> list[type[BaseModel]]:
    """The sections that a type is or, as in list[Annotated[Section, ...]], is made of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [section for part in get_args(annotation) for section in _sections_within(part)]


def kind_of(section: type[BaseModel]) -> tuple[str, str] | None:
    """What tells a section from the others of its union: the field, `kind` or `name`, and the one value it may have."""
    for tag in ("kind", "name"):
        field = section.model_fields.get(tag)
        if field and get_origin(field.annotation) is Literal:
            return tag, get_args(field.annotation)[0]
    return None


def spelled_out(value: object) -> object:
    """Return a mapping for a bare name: in params.yaml the name alone will do."""
    if not isinstance(value, (str, dict, BaseModel)):
        raise ValueError("should be a name, or a mapping of a name and options")  # noqa: TRY004 - pydantic reports it
    return {"name": value} if isinstance(value, str) else value


# How a parameter is declared that decides no result: `Field(..., json_schema_extra=HOW)`. All others do.
HOW: JsonDict = {"role": "how"}  # it only says how something is computed
GRID: JsonDict = {"role": "grid"}  # it only says which trials there are


def deciding(section: type[BaseModel]) -> set[str]:
    """Return the names of the parameters of a section that decide what comes out."""
    return {name for name, field in section.model_fields.items() if not _role(field)}


def how(section: type[BaseModel]) -> set[str]:
    """Return the names of the parameters of a section that only say how something is computed."""
    return {name for name, field in section.model_fields.items() if _role(field) == HOW["role"]}


def described(section: BaseModel) -> dict[str, Any]:
    """Return a section as params.yaml would hold it, without what only says how something is computed."""
    plain = section.model_dump(mode="json", by_alias=True)
    for name, field in type(section).model_fields.items():
        key = field.alias or name
        if name in how(type(section)):
            del plain[key]
        else:
            plain[key] = _described(getattr(section, name), plain[key])
    return plain


def _described(value: object, plain: Any) -> Any:
    if isinstance(value, BaseModel):
        return described(value) if isinstance(plain, dict) else plain
    if isinstance(value, list | tuple):
        return [_described(inner, dumped) for inner, dumped in zip(value, plain, strict=True)]
    return plain


def _role(field: FieldInfo) -> object:
    return field.json_schema_extra.get("role") if isinstance(field.json_schema_extra, dict) else None
