"""Run all benchmarks, or those that are named, and print Markdown tables."""

from __future__ import annotations

import sys

from benchmarks import batches, data, side_by_side, unet_transform
from degrain import environment

BENCHMARKS = {
    "data": data.run,
    "batches": batches.run,
    "side_by_side": side_by_side.run,
    "unet_transform": unet_transform.run,
}


def main() -> None:
    names = sys.argv[1:] or list(BENCHMARKS)
    for name in names:
        if name not in BENCHMARKS:
            sys.exit(f"no benchmark {name!r}; there are: {', '.join(BENCHMARKS)}")
    print(", ".join(f"{key} {value}" for key, value in environment.describe_machine().items()))
    for name in names:
        print(f"\n## {name}\n")
        BENCHMARKS[name]()


if __name__ == "__main__":
    main()
