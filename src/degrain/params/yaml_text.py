"""Reading YAML so that it means one thing: to this program, to DVC and to the person who wrote it.

Scalars are those of YAML 1.2's core schema (https://yaml.org/spec/1.2.2/#103-core-schema), as DVC reads them. What YAML
1.1, which many programs still speak, takes for something else is refused, and so are keys that stand there twice.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

DEEPEST = 20
# Of one file, aliases counted each time that they are used.
MOST_VALUES = 100_000

# What the parser gives a value whose tag is not written.
_TAGS = ("map", "seq", "str", "null", "bool", "int", "float", "timestamp", "merge", "value")
_NULL = re.compile(r"~|null|Null|NULL|")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_INTEGER = re.compile(r"[-+]?[0-9]{1,400}|0o[0-7]{1,400}|0x[0-9a-fA-F]{1,400}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"([-+]?)\.(inf|Inf|INF|nan|NaN|NAN)")
_AMBIGUOUS = (
    (re.compile(r"(?i)yes|no|on|off"), "is true or false to some programs and a word to others; quote it, or write {}"),
    (re.compile(r"[-+]?0[0-9]+"), "is read in base 8 by some programs; write it without leading zeros, or quote it"),
    (re.compile(r"[-+]?[0-9][0-9_]*_[0-9_.]*"), "is a number to some programs only; write it without _, or quote it"),
    (re.compile(r"[-+]?\.[0-9_]*_[0-9_]*"), "is a number to some programs only; write it without _, or quote it"),
    (
        re.compile(r"[-+]?0x[0-9a-fA-F_]*_[0-9a-fA-F_]*|[-+]0x[0-9a-fA-F]+"),
        "is a number to some programs only; quote it",
    ),
    (re.compile(r"0b[01_]+"), "is a number to some programs only; write it in base 10, or quote it"),
    (re.compile(r"[-+]?[0-9]+(:[0-5]?[0-9])+(\.[0-9]*)?"), "is a number in base 60 to some programs; quote it"),
    (re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt \t].*)?"), "is a date; quote it if it is a name"),
)


class Mistake(Exception):  # noqa: N818  (not yet the user's error: the reader adds the file)
    """What is wrong with a text, in one line."""


def load(text: str) -> Any:
    """Read a YAML document.

    Returns:
        Mappings with text keys, lists, text, numbers, booleans and None.

    Raises:
        Mistake: It is no YAML, a key stands there twice, or a value means something else to other programs; the text
            gives the path of the key and the line.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f" in line {mark.line + 1}" if mark else ""
        raise Mistake(f"no readable YAML{line}: {' '.join((error.problem or str(error)).split())}") from None
    except yaml.YAMLError as error:
        raise Mistake(f"no readable YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise Mistake(f"nested more than {DEEPEST} deep") from None
    made = None if node is None else _Reader().value(node, ())
    _refuse_tags(text)
    return made


def _refuse_tags(text: str) -> None:
    """Refuse tags that YAML knows, too; of what is composed nobody can say whether its tag was written."""
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag is not None:
            line = event.start_mark.line + 1 if event.start_mark else "?"
            raise Mistake(f"line {line} has the tag {event.tag}; tags are not read")


class _Reader:
    def __init__(self) -> None:
        self._values = 0

    def value(self, node: yaml.Node, path: tuple[str, ...]) -> Any:
        self._values += 1
        if self._values > MOST_VALUES:
            raise Mistake(f"more than {MOST_VALUES} values")
        if len(path) > DEEPEST:
            raise Mistake(f"{_name(path[:3])}... is nested more than {DEEPEST} deep ({_line(node)})")
        if node.tag.removeprefix("tag:yaml.org,2002:") not in _TAGS:
            raise Mistake(f"{_name(path)} has the tag {node.tag} ({_line(node)}); tags are not read")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, str(i))) for i, item in enumerate(node.value)]
        return node.value if getattr(node, "style", None) else _plain(node, path)

    def _mapping(self, node: yaml.MappingNode, path: tuple[str, ...]) -> dict[str, Any]:
        lines: dict[str, yaml.Node] = {}
        values = {}
        for key, value in node.value:
            name = self.value(key, (*path, "key")) if isinstance(key, yaml.ScalarNode) else None
            if not isinstance(name, str) or key.value == "<<":
                shown = key.value if isinstance(key, yaml.ScalarNode) else "a list or a mapping"
                within = f" in {'.'.join(path)}" if path else ""
                raise Mistake(f"the key {shown}{within} is no text ({_line(key)})")
            if name in lines:
                where = _name((*path, name))
                raise Mistake(f"{where} stands there twice: in {_line(lines[name])} and in {_line(key)}")
            lines[name] = key
            values[name] = self.value(value, (*path, name))
        return values


def _plain(node: yaml.Node, path: tuple[str, ...]) -> Any:
    """Return what a scalar without quotes is."""
    text: str = node.value
    for pattern, problem in _AMBIGUOUS:
        if pattern.fullmatch(text):
            instead = "true" if text.lower() in ("yes", "on") else "false"
            raise Mistake(f"{_name(path)} is {text} ({_line(node)}), which {problem.format(instead)}")
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text) or _FALSE.fullmatch(text):
        return text.lower() == "true"
    if _INTEGER.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    if found := _NOT_FINITE.fullmatch(text):
        return float(found[1] + found[2])
    return text


def _name(path: tuple[str, ...]) -> str:
    return ".".join(path) or "the document"


def _line(node: yaml.Node) -> str:
    return f"line {node.start_mark.line + 1}"
