"""Changing one constant of a module, as a careless or a clever edit would."""

from __future__ import annotations

import ast


def mutated(source: str) -> str:
    """Return Python source with one constant, or else one name, changed; comments are lost.

    Raises:
        ValueError: There is nothing that could be changed.
    """
    tree = ast.parse(source)
    texts = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    descriptions = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg == "description"
        for inner in ast.walk(node.value)
    }
    for node in ast.walk(tree):
        if id(node) in texts | descriptions or not isinstance(node, ast.Constant):
            continue
        if type(node.value) in (int, float):
            node.value += 1
        elif type(node.value) is bool:
            node.value = not node.value
        elif isinstance(node.value, str) and not node.value.startswith("degrain"):
            node.value += "x"
        else:
            continue
        return ast.unparse(tree) + "\n"
    raise ValueError("no constant to change")
