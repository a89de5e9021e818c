"""Run benchmarks and print Markdown tables: those that are named, or all but those that take long or need a model.

Options of one follow its name: `python -m benchmarks training rounds=1 nets=unet,sinha2018`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from degrain.machine import description

BENCHMARKS = (
    "data",
    "batches",
    "unet_transform",
    "convolutions",
    "precision",
    "training",
    "variants",
    "memory",
    "files",
    "decoding",
    "inference",
    "only_noisy",
    "orchestration",
    "scale",
    "literature",
    "photographs",
    "pictures",
    "report",
)
# Those that run only when they are named.
LONG = ("training", "scale", "only_noisy", "literature", "pictures")


def asked(words: Sequence[str]) -> list[tuple[str, dict[str, str | int]]]:
    """Return the names of benchmarks, each with its options."""
    found: list[tuple[str, dict[str, str | int]]] = []
    for word in words:
        name, equals, value = word.partition("=")
        if equals and found:
            found[-1][1][name] = int(value) if value.isdigit() else value
        elif name in BENCHMARKS:
            found.append((name, {}))
        else:
            sys.exit(f"no benchmark {word!r}; there are: {', '.join(BENCHMARKS)}")
    return found or [(name, {}) for name in BENCHMARKS if name not in LONG]


def main() -> None:
    chosen = asked(sys.argv[1:])
    print(", ".join(f"{key} {value}" for key, value in description.describe_machine().items()))
    for name, options in chosen:
        print(f"\n## {name}\n", flush=True)
        importlib.import_module(f"benchmarks.{name}").run(**options)


if __name__ == "__main__":
    main()
