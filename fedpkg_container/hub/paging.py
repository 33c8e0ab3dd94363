# SPDX-License-Identifier: GPL-2.0-or-later
"""Lists that a hub returns in pages, newest first, and how far back they were read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from fedpkg_container.hub.protocol import Call, Multicall
from fedpkg_container.hub.tasks import result_or_none
from fedpkg_container.model.koji_types import QueryOptions

Row = TypeVar("Row", bound=Mapping[str, Any])


@dataclass(frozen=True)
class Searched:
    """How far back the hub was searched for selected builds, as creation times in seconds since the epoch.

    :param builds: of the oldest recorded build that was read; None if there are no older ones, or the list needs none
    :param tasks: the same of tasks without a recorded build
    """

    builds: float | None = None
    tasks: float | None = None

    def until(self, time_of_oldest: float) -> Searched:
        """Return the same for a list that is cut off at its oldest entry."""
        times = (value if value is not None and value > time_of_oldest else None for value in (self.builds, self.tasks))
        return Searched(*times)


#: All builds that the list needs.
EVERYTHING = Searched()


class Pages(Generic[Row]):
    """One list, read page by page.

    :param query: makes the call that returns a page, in a multicall
    :param size: rows per page
    :param created: column with the creation time, seconds since the epoch
    :param optional: whether the list is empty if the hub refuses the first page, e.g. as the package does not exist
    """

    def __init__(
        self,
        query: Callable[[Multicall, QueryOptions], Call[Sequence[Row]]],
        *,
        order: str,
        size: int,
        created: str,
        optional: bool = False,
    ) -> None:
        self._query = query
        self._order = order
        self._size = size
        self._created = created
        self._optional = optional
        self._offset = 0
        self._is_complete = False
        self._calls: list[Call[Sequence[Row]]] = []
        #: Creation time of the oldest row that was read; None if the list is complete.
        self.oldest: float | None = None

    def request(self, multicall: Multicall) -> None:
        """Add the call for the next page to a multicall, unless the list is complete."""
        if not self._is_complete:
            options: QueryOptions = {"order": self._order, "limit": self._size}
            if self._offset:
                options["offset"] = self._offset
            self._calls.append(self._query(multicall, options))

    def read(self) -> Sequence[Row]:
        """Return the rows of the requested page after the multicall; empty if none was requested.

        Rows that were added to the hub in the meantime can make the last rows of a page those of the next, too.

        :raises koji.GenericError: if the hub refuses the call
        """
        if not self._calls:
            return ()
        call = self._calls.pop()
        rows = (result_or_none(call) or ()) if self._optional and not self._offset else call.result
        self._offset += len(rows)
        times = [row[self._created] for row in rows if isinstance(row.get(self._created), (int, float))]
        self.oldest = min(times, default=None) if len(rows) >= self._size else None
        self._is_complete = self.oldest is None
        return rows
