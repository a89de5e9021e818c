"""The tags of a registered version: written here, and here alone read back.

Anybody can change a tag in MLflow, and there is none that every version must have. So those that are read back are
judged then; scores are for people, and never read: what the gate compares is measured anew.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from degrain import files
from degrain.artifacts.trial import TrialRecord
from degrain.errors import UnreadableTag
from degrain.packaging import layout

# SHA-256 of a version's weights, by which a model is known again however it was trained.
WEIGHTS = "degrain.weights_sha256"
# Digest of all files of a version's package, see `degrain.files.tree_digest`.
PACKAGE = "degrain.package_sha256"
# SHA-256 of the file that loading a package executes, for whoever is about to load it.
CODE = "degrain.denoise_model_sha256"
# Digest of the files that say what made it, see `degrain.registry.origin`.
ORIGIN = "degrain.origin_sha256"
# The key of its trial; a run has it, too.
KEY = "degrain.key"
# Digest of how its scores were measured, see `degrain.evaluation.protocol`.
PROTOCOL = "degrain.protocol"
MODEL, TRIAL = "degrain.model", "degrain.trial"
# Of a run: the studies that have the trial, and how it ended.
STUDY, STATE = "degrain.study", "degrain.state"
# Of a run and of a version: the commit that trained it.
COMMIT = "degrain.commit"
# Digest of the data that it was trained and measured on.
DATA = "degrain.data_sha256"
# Why the gate has refused a version, and why it is the champion no more: it may become it again by hand alone.
REFUSED, WITHDRAWN = "degrain.refused", "degrain.withdrawn"
# PostgreSQL refuses longer values.
LONGEST = 5000

_SHA256 = re.compile(r"[0-9a-f]{64}")


class Tagged(Protocol):
    """A registered version: MLflow's `ModelVersion`, or what was read of it without MLflow."""

    @property
    def name(self) -> str:
        """Of the registered model."""

    @property
    def version(self) -> str:
        """Its number."""

    @property
    def tags(self) -> Mapping[str, str]:
        """Its tags."""


def score(measure: str) -> str:
    """Return the name of the tag that holds a mean, such as `degrain.test_psnr`."""
    return f"degrain.{measure}"


def written(trial: TrialRecord, scores: Mapping[str, float], protocol: str, package: Path) -> dict[str, str]:
    """Return the tags of a new version.

    Args:
        trial: What was trained.
        scores: Its means, see `degrain.evaluation.summary`.
        protocol: Digest of how these were measured.
        package: Its folder, see `degrain.packaging.package`.
    """
    return {
        WEIGHTS: str(trial.weights_sha256),
        PACKAGE: files.tree_digest(package),
        CODE: files.sha256(package / layout.CODE),
        KEY: trial.key,
        PROTOCOL: protocol,
        MODEL: trial.model,
        TRIAL: trial.name,
        COMMIT: trial.origin.commit,
        **{score(measure): repr(value) for measure, value in scores.items()},
    }


def cut(text: str, longest: int = LONGEST) -> str:
    """Return a text that the registry takes, its end cut off where it is too long; never empty, which it refuses."""
    return (text if len(text) <= longest else f"{text[: longest - 3]}...") or "-"


def scores(version: Tagged) -> dict[str, float]:
    """Return a version's scores as they were when it was registered; those that are no numbers are left out."""
    # NOTE: it imports pandas, which takes as long as everything else here.
    from degrain.evaluation import summary

    found = {}
    for name in summary.MEASURES:
        with suppress(ValueError):
            found[name] = float(version.tags.get(score(name), ""))
    return {name: value for name, value in found.items() if math.isfinite(value)}


def has_weights(version: Tagged, sha256: str) -> bool:
    """Tell whether a version is tagged with these weights."""
    return bool(version.tags.get(WEIGHTS) == sha256)


def weights(version: Tagged) -> str:
    """Return the SHA-256 of a version's weights.

    Raises:
        UnreadableTag: The tag is missing or holds something else.
    """
    return _sha256(version, WEIGHTS)


def package(version: Tagged) -> str:
    """Return the digest of all files of a version's package.

    Raises:
        UnreadableTag: The tag is missing or holds something else.
    """
    return _sha256(version, PACKAGE)


def origin(version: Tagged) -> str:
    """Return the digest of the files that say what made a version.

    Raises:
        UnreadableTag: The tag is missing or holds something else.
    """
    return _sha256(version, ORIGIN)


def key(version: Tagged) -> str:
    """Return the key of a version's trial.

    Raises:
        UnreadableTag: The tag is missing or empty.
    """
    return text(version, KEY)


def text(version: Tagged, name: str) -> str:
    """Return a tag of a version.

    Raises:
        UnreadableTag: It is missing or empty.
    """
    found = version.tags.get(name)
    if not found:
        raise UnreadableTag(f"{what(version)} has no tag {name}")
    return str(found)


def _sha256(version: Tagged, name: str) -> str:
    found = text(version, name)
    if not _SHA256.fullmatch(found):
        raise _unreadable(version, name, "no SHA-256")
    return found


def _unreadable(version: Tagged, name: str, wrong: str) -> UnreadableTag:
    found = str(version.tags[name])[:80]
    return UnreadableTag(f"{what(version)} has the tag {name}={found!r}, which is {wrong}")


def what(version: Tagged) -> str:
    """Return what a sentence calls a version, such as "version 3 of degrain-quickstart"."""
    return f"version {version.version} of {version.name}"
