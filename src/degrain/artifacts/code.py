"""Which code made what a record describes."""

from __future__ import annotations

from typing import Self

from degrain import files
from degrain.artifacts.base import Part
from degrain.provenance import digests
from degrain.provenance.closure import CATALOGS, closure


class Code(Part):
    """The code that made something.

    Attributes:
        modules: Where it begins, such as "degrain.patches.preparation".
        sha256: Digest of these modules and of all that they import, see `degrain.provenance`; comments, docstrings and
            the versions of libraries do not count.
    """

    modules: list[str]
    sha256: str

    @classmethod
    def of(cls, *modules: str) -> Self:
        """Describe the code that there is now.

        Raises:
            KeyError: There is no such module.
        """
        found = closure(*modules, without=CATALOGS)
        return cls(modules=list(modules), sha256=files.digest(digests.code(found)))

    @property
    def has_changed(self) -> bool:
        """Whether it is not the code any more that there is now."""
        try:
            return Code.of(*self.modules) != self
        except KeyError:
            return True
