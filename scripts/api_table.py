"""Write the tables of public names into docs/api.md, from their docstrings: python scripts/api_table.py"""

from __future__ import annotations

import inspect
from pathlib import Path, PurePath
from typing import Any

import degrain

PAGE = Path(__file__).parent.parent / "docs" / "api.md"
START, END = "<!-- names: scripts/api_table.py -->", "<!-- end of names -->"
# What the modules are about, in the order of the page.
SECTIONS = {
    "degrain.api.denoising": "Denoisers",
    "degrain.api.noise": "Noise",
    "degrain.api.metrics": "Scores",
    "degrain.api.baselines": "Classical denoisers",
    "degrain.api.networks": "Networks",
    "degrain.patches.store": "Patch stores",
    "degrain.api.stores": "Patch stores",
    "degrain.api.training": "Training",
    "degrain.api.results": "Results",
    "degrain.evaluation.comparing": "Results",
    "degrain.errors": "Errors",
}


def table() -> str:
    """Return the public names as Markdown, a table for each section."""
    lines: list[str] = []
    for title in dict.fromkeys(SECTIONS.values()):
        lines += ["", f"### {title}", "", "| name | what it does |", "|---|---|"]
        modules = [module for module, section in SECTIONS.items() if section == title]
        names = [name for name in degrain.__all__ if not name.startswith("__")]
        lines += [_row(name, value) for name in names if (value := getattr(degrain, name)).__module__ in modules]
    return "\n".join(lines).strip()


def _row(name: str, value: Any) -> str:
    first = (inspect.getdoc(value) or "").partition("\n\n")[0]
    text = " ".join(first.split()).replace("|", "\\|")
    return f"| `{name}{_arguments(value)}` | {text} |"


def _arguments(value: Any) -> str:
    """Return what a function takes, without annotations."""
    if not inspect.isfunction(value):
        return ""
    signature = inspect.signature(value)
    shown = [_plain(parameter) for parameter in signature.parameters.values()]
    return str(signature.replace(parameters=shown, return_annotation=signature.empty))


def _plain(parameter: inspect.Parameter) -> inspect.Parameter:
    default = parameter.default
    default = default.as_posix() if isinstance(default, PurePath) else default
    return parameter.replace(annotation=parameter.empty, default=default)


def update(text: str) -> str:
    """Return the page with the table of the present code."""
    before, rest = text.split(START)
    _, after = rest.split(END)
    return f"{before}{START}\n\n{table()}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(update(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
