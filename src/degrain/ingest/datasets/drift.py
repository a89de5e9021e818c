"""What has changed between two manifests of one data set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

# Statistics of images that are compared, with their units.
_STATISTICS = {"width": "pixels", "height": "pixels", "mean": "8-bit levels", "std": "8-bit levels", "saturated": ""}
_NAMED = 5


@dataclass(frozen=True)
class Drift:
    """What has changed.

    Attributes:
        before, after: Images.
        added, removed: Paths that only one manifest has.
        changed: Paths whose pixels differ.
        groups: Images of each part and label: columns group, before, after.
        statistics: Of all images: columns statistic, unit, before, after; medians, and Kolmogorov-Smirnov's distance.
    """

    before: int
    after: int
    added: list[str]
    removed: list[str]
    changed: list[str]
    groups: pd.DataFrame
    statistics: pd.DataFrame

    @property
    def is_none(self) -> bool:
        """Whether the images are the same."""
        return not (self.added or self.removed or self.changed)

    def told(self) -> str:
        """Return it in one line."""
        if self.is_none:
            return f"{self.after} images, the same as before"
        return (
            f"{self.before} images before, {self.after} now: {len(self.added)} added, {len(self.removed)} removed, "
            f"{len(self.changed)} changed"
        )

    def markdown(self) -> str:
        """Return it as a page."""
        lists = {"Added": self.added, "Removed": self.removed, "Changed": self.changed}
        lines = [self.told(), ""]
        for title, paths in lists.items():
            if paths:
                more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
                lines += [f"{title}: {', '.join(f'`{path}`' for path in paths[:_NAMED])}{more}", ""]
        for table in (self.groups, self.statistics):
            lines += [_row(table.columns), _row("---" for _ in table.columns), *map(_row, table.to_numpy()), ""]
        return "\n".join(lines)


def compare(before: pd.DataFrame, after: pd.DataFrame) -> Drift:
    """Compare two manifests.

    Args:
        before, after: With the columns of `degrain.ingest.datasets.manifest.COLUMNS`.
    """
    old, new = (table.set_index("path") for table in (before, after))
    both = old.index.intersection(new.index)
    hashes = ["sha256", "noisy_sha256"]
    differ = (old.loc[both, hashes].fillna("") != new.loc[both, hashes].fillna("")).any(axis=1)
    return Drift(
        before=len(old),
        after=len(new),
        added=sorted(new.index.difference(old.index)),
        removed=sorted(old.index.difference(new.index)),
        changed=sorted(both[differ]),
        groups=_groups(before, after),
        statistics=_statistics(before, after),
    )


def _groups(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    def counted(table: pd.DataFrame) -> pd.Series:
        names = table["part"].fillna("").str.cat(table["label"].fillna(""), sep="/").str.strip("/")
        return names.replace("", "all").value_counts()

    counts = pd.DataFrame({"before": counted(before), "after": counted(after)}).fillna(0).astype(int)
    return counts.rename_axis("group").sort_index().reset_index()


def _statistics(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for name, unit in _STATISTICS.items():
        old, new = (table[name].dropna().to_numpy(float) for table in (before, after))
        if len(old) and len(new):
            values = np.sort(np.concatenate([old, new]))
            shares = [np.searchsorted(np.sort(part), values, side="right") / len(part) for part in (old, new)]
            distance = float(np.abs(shares[0] - shares[1]).max())
            rows.append((name, unit, f"{np.median(old):.4g}", f"{np.median(new):.4g}", f"{distance:.3f}"))
    return pd.DataFrame(rows, columns=["statistic", "unit", "median before", "median after", "KS distance"])


def _row(cells: object) -> str:
    return f"| {' | '.join(str(cell) for cell in cells)} |"  # type: ignore[attr-defined]
