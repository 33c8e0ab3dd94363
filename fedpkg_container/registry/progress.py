"""What is told while a run goes on; nothing, unless somebody listens."""

from __future__ import annotations


class Progress:
    """Listens, and shows nothing; called by several threads."""

    def began(self, step: str, total: int, size: int = 0) -> None:
        """A step begins.

        :param step: what is done, ``tags``
        :param total: how many of them
        :param size: bytes altogether; 0 where they do not count
        """

    def advanced(self) -> None:
        """One more is done."""

    def received(self, size: int) -> None:
        """Bytes came, or were there from an earlier run."""
