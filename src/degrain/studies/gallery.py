"""The studies of conf/study, as `dvc exp run -S study=NAME` composes them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from degrain.errors import ParamsError
from degrain.params.study import Params

CONF = Path("conf")


def compose(name: str, conf: Path = CONF) -> dict[str, Any]:
    """Lay a study over what all have in common.

    Args:
        name: Of a file in conf/study.
        conf: The folder.

    Returns:
        What params.yaml would hold.

    Raises:
        ParamsError: There is no such study.
    """
    import hydra
    from omegaconf import OmegaConf

    if not (conf / "study" / f"{name}.yaml").is_file():
        raise ParamsError(f"{conf / 'study'} holds no study {name!r}")
    with hydra.initialize_config_dir(str(conf.resolve()), version_base=None):
        made = OmegaConf.to_container(hydra.compose("config", overrides=[f"study={name}"]), resolve=True)
    return {str(key): value for key, value in dict(made).items()}  # type: ignore[arg-type]


def command(params: Params, conf: Path = CONF) -> str:
    """Return the command that runs a study as it is: its name, and every parameter that differs from its file.

    Raises:
        ParamsError: There is no study of that name.
    """

    def words(study: Params) -> dict[str, str]:
        return {name: json.dumps(value) for name, value in dotted(study.model_dump(mode="json", by_alias=True))}

    planned = words(Params.model_validate(compose(params.study.name, conf)))
    changed = [f"{name}={value}" for name, value in words(params).items() if planned.get(name) != value]
    return " ".join(["dvc exp run", *(f"-S {shlex.quote(word)}" for word in (f"study={params.study.name}", *changed))])


def dotted(params: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every parameter of nested mappings by its dotted name, with its value; a list is one value."""
    for key, value in params.items():
        if isinstance(value, Mapping) and value:
            yield from dotted(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value
