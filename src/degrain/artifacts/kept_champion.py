"""What is known of a champion whose package this project keeps, see `degrain.registry.kept`."""

from __future__ import annotations

from typing import ClassVar

from degrain.artifacts.base import Record


class KeptChampion(Record):
    """A file of the folder of kept champions: one for each registered model of each tracking server.

    Attributes:
        model: The registered model.
        tracking_uri: Where MLflow is.
        version: Number of the version that was the champion.
        tags: Those of its tags by which its package is checked.
        tables: How it can be asked for without MLflow, see `degrain.registry.lookup.Holder`.
        seen: When it was the champion for certain, in UTC, as in ISO 8601.
    """

    WHAT: ClassVar[str] = "record of a kept champion"
    COMMAND: ClassVar[str] = "degrain denoise"
    VERSION: ClassVar[int] = 1

    model: str
    tracking_uri: str
    version: str
    tags: dict[str, str]
    tables: str
    seen: str
