"""What follows from the expectations that do not hold: the run ends, images are set aside, or it is only said."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from degrain.artifacts.validation import Expectation
from degrain.errors import ParamsError, ValidationFailed, nearest
from degrain.params.data import ValidateParams

log = logging.getLogger(__name__)

# An error message names so many images at most; the Data Docs have all.
NAMED = 4
# What no study can do without.
NEEDED = ("groups", "count", "decodes", "path", "channels", "dtype", "paired", "same_size")


@dataclass(frozen=True)
class Judgement:
    """Expectations that do not hold.

    Attributes:
        table: The manifest.
        groups: One row per group of images, see `degrain.ingest.datasets.expectations.counts`.
        allowed: Those whose failure the study allows.
        failed: The others.
    """

    table: pd.DataFrame
    groups: pd.DataFrame
    allowed: list[Expectation]
    failed: list[Expectation]

    @property
    def flagged(self) -> list[str]:
        """Paths of the images that fail an expectation."""
        return sorted({image for result in self.failed if not result.groups for image in result.images})

    def quarantined(self, params: ValidateParams, docs: Path) -> list[str]:
        """Return the paths of the images that are set aside.

        Raises:
            ValidationFailed: The study wants the run to end, no image can be blamed, or too few images are left; the
                images are named.
        """
        whole = [result for result in self.failed if result.groups or not result.images]
        if self.failed and (params.on_failure == "stop" or whole):
            shown = whole if params.on_failure == "quarantine" else self.failed
            raise ValidationFailed(f"validation failed: {'; '.join(map(self.explain, shown))} (see {docs})")
        left = len(self.table) - len(self.flagged)
        if left < params.min_images:
            without = named(self.flagged)
            raise ValidationFailed(f"validation failed: {left} images are left without {without} (see {docs})")
        return self.flagged

    def warn(self) -> None:
        """Say what does not hold."""
        for what, results in (("quarantined", self.failed), ("allowed", self.allowed)):
            for result in results:
                log.warning("%s: %s", what, self.explain(result))

    def explain(self, result: Expectation) -> str:
        """Say what was expected, and what is not so."""
        if result.name == "decodes":
            reasons = self.table.set_index("path")["error"]
            return "; ".join(str(reasons[image]) for image in result.images[:NAMED])
        if result.groups:
            rows = self.groups.set_index("group")
            found = [f"{group} has {rows['images'][group]:.0f}" for group in result.images]
            hint = "; a part of the data set? validate.partial: true" if result.name == "fewer" else ""
            return f"expected {result.text}, but {named(found)}{hint}"
        return f"expected {result.text}" + (f", not so in {named(result.images)}" if result.images else "")


def judge(
    results: Sequence[Expectation], table: pd.DataFrame, groups: pd.DataFrame, params: ValidateParams
) -> Judgement:
    """Tell what fails from what the study allows to fail.

    Raises:
        ParamsError: The study allows what does not exist or cannot be done without.
    """
    check_allowed(params, [result.name for result in results])
    broken = [result for result in results if not result.success]
    allowed = [result for result in broken if result.name in params.allow]
    return Judgement(table, groups, allowed, [result for result in broken if result not in allowed])


def check_allowed(params: ValidateParams, known: Sequence[str]) -> None:
    """Refuse what cannot be allowed to fail.

    Args:
        params: With what the study allows.
        known: Names of the expectations.

    Raises:
        ParamsError: As of `judge`.
    """
    for name in params.allow:
        if name not in known:
            raise ParamsError(f"validate.allow: there is no expectation {name!r}{nearest(name, known)}")
        if name in NEEDED:
            raise ParamsError(
                f"validate.allow: without {name!r} nothing can be prepared; quarantine such images instead"
            )


def named(names: Sequence[str]) -> str:
    """Return the first few names, and how many more there are."""
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
