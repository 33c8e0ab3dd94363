# SPDX-License-Identifier: GPL-2.0-or-later
"""A list of a hub that is read page by page."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from fedpkg_container.hub.paging import Pages
from fedpkg_container.hub.protocol import Multicall
from fedpkg_container.model.koji_types import QueryOptions

MULTICALL = cast(Multicall, None)


@pytest.mark.parametrize(
    ("total", "offsets", "oldest"), [(0, [0], None), (1, [0], None), (2, [0, 2], None), (9, [0, 2, 4], 4.0)]
)
def test_a_complete_list_is_not_requested_again(total: int, offsets: list[int], oldest: float | None) -> None:
    rows = [{"id": number, "created": float(number)} for number in range(total, 0, -1)]
    requested = []

    def query(_: Multicall, options: QueryOptions) -> Any:
        offset = options.get("offset", 0)
        requested.append(offset)
        return SimpleNamespace(result=rows[offset : offset + options["limit"]])

    pages: Pages[dict[str, Any]] = Pages(query, order="-id", size=2, created="created")
    read: list[Sequence[dict[str, Any]]] = []
    for _ in range(3):
        pages.request(MULTICALL)
        read.append(pages.read())
    assert requested == offsets
    assert [row for page in read for row in page] == rows[:6]
    assert pages.oldest == oldest
