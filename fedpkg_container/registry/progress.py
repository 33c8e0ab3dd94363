# SPDX-License-Identifier: GPL-2.0-or-later
"""Progress of a long run: an interface, whose base class ignores all events."""

from __future__ import annotations


class Progress:
    """Receives progress events from several threads and ignores them."""

    def began(self, step: str, total: int, size: int = 0) -> None:
        """Start a step.

        :param step: its name, e.g. ``tags``
        :param total: number of items
        :param size: bytes altogether; 0 if not applicable
        """

    def advanced(self) -> None:
        """Count one item as done."""

    def received(self, size: int) -> None:
        """Count bytes that were received, or that an earlier run had received."""
