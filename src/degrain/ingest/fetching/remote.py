"""What is to be fetched, and how a source says that it cannot give it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RemoteFile:
    """One file of a data set, as its publisher ships it.

    Attributes:
        name: Path in the data set's folder.
        mirror: Path below a DEGRAIN_MIRROR, such as "mnist/train-images-idx3-ubyte.gz".
        urls: Where it can be downloaded, in the order to try.
        size: In bytes, if published.
        sha256: In hexadecimal, if published; otherwise the first download's is recorded.
        kaggle: "owner/dataset" on Kaggle, whose whole zip this file then is; empty for others.
    """

    name: str
    mirror: str
    urls: tuple[str, ...] = ()
    size: int | None = None
    sha256: str | None = None
    kaggle: str = ""


class SourceFailed(Exception):  # noqa: N818  (reads as what happened; never leaves this package)
    """One source cannot give the file, and asking it again is of no use; the text says why.

    Attributes:
        status: The HTTP status it answered with, if it did.
    """

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status
