"""The studies of conf/study, as `dvc exp run -S study=NAME` composes them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from degrain.declaration import how, sections
from degrain.errors import ParamsError, nearest
from degrain.params.study import Params, parse

CONF = Path("conf")


def names(conf: Path = CONF) -> list[str]:
    """Return the names of all studies.

    Raises:
        ParamsError: There is no study here.
    """
    found = sorted(path.stem for path in (conf / "study").glob("*.yaml"))
    if not found:
        raise ParamsError(f"{conf / 'study'} holds no study here; change into a project's folder")
    return found


def file_of(name: str, conf: Path = CONF) -> Path:
    """Return the file of a study.

    Raises:
        ParamsError: There is none; the message has the nearest name.
    """
    if name not in (known := names(conf)):
        raise ParamsError(f"{conf / 'study'} holds no study {name!r}{nearest(name, known)}")
    return conf / "study" / f"{name}.yaml"


def compose(name: str, conf: Path = CONF, changes: Sequence[str] = ()) -> dict[str, Any]:
    """Lay a study over what all have in common.

    Args:
        name: Of a file in conf/study.
        conf: The folder.
        changes: Further words of `dvc exp run -S`, such as `train.epochs=3`.

    Returns:
        What params.yaml would hold.

    Raises:
        ParamsError: There is no such study or parameter; the message has the nearest name.
    """
    import hydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    file_of(name, conf)
    with hydra.initialize_config_dir(str(conf.resolve()), version_base=None):
        planned = hydra.compose("config", overrides=[f"study={name}"])
        try:
            made = hydra.compose("config", overrides=[f"study={name}", *changes])
        except (HydraException, OmegaConfBaseException) as error:
            raise ParamsError(_explain(error, changes, [name for name, _ in dotted(_plain(planned))])) from None
    return _plain(made)


def _plain(made: Any) -> dict[str, Any]:
    from omegaconf import OmegaConf

    return {str(key): value for key, value in dict(OmegaConf.to_container(made, resolve=True)).items()}  # type: ignore[arg-type]


def _explain(error: Exception, changes: Sequence[str], known: list[str]) -> str:
    """Say in one line what Hydra has against a change, with the nearest parameter that the study spells out."""
    for change in changes:
        name = change.lstrip("+~").partition("=")[0]
        if f"'{name}'" in str(error) and name not in known:
            hint = "" if change.startswith("+") else f", or +{change} where the parameter has its default"
            return f"-S {change}: the study does not spell {name!r} out{nearest(name, known)}{hint}"
    return f"-S {' -S '.join(changes)}: {' '.join(str(error).split())}"


def changed(changes: Sequence[str], study: str, conf: Path = CONF) -> Params:
    """Return the study that `dvc exp run` would run.

    Args:
        changes: The words of its options -S: `study=NAME`, `train.epochs=3`.
        study: The name where no word says one.
        conf: The folder of studies.

    Raises:
        ParamsError: There is no such study or parameter, or a value is impossible; one line.
    """
    named = [change.partition("=")[2] for change in changes if change.startswith("study=")]
    others = [change for change in changes if not change.startswith("study=")]
    return parse(compose(named[-1] if named else study, conf, others), "-S")


def command(params: Params, conf: Path = CONF) -> str:
    """Return the command that runs a study as it is: its name, and every parameter that differs from its file.

    What only says how something is computed is left out: it may have been changed since the study was run.

    Raises:
        ParamsError: There is no study of that name.
    """

    def words(study: Params) -> dict[str, str]:
        plain = study.model_dump(mode="json", by_alias=True)
        return {name: json.dumps(value) for name, value in dotted(plain) if name not in only_how}

    only_how = {f"{section}.{name}" for section, (kind, *_) in sections(Params).items() for name in how(kind)}
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
