"""How pytest-xdist distributes the tests over its workers: what shares fixtures stays together, slow tests start first.

Each worker has its own session fixtures. A group, usually a file, runs on one worker.
"""

from __future__ import annotations

import re

import pytest
from xdist.scheduler import LoadScopeScheduling

#: Packages whose tests share a fixture that takes long to set up.
_SHARING = ("tests/contract/", "tests/security/")
#: Tests that change the network of the machine: see tests/support/outside.py.
_OUTSIDE = {"tests/e2e/test_network.py", "tests/e2e/test_repo_urls.py"}
_KIND = re.compile(r"[\[-](nginx|httpd)[]-]")

#: Seconds of the slowest groups on an idle machine, which decide which group starts first.
_SECONDS: dict[str, int] = {}


def group(nodeid: str) -> str:
    """Return the group of a test, for example ``tests/unit/test_rules.py``."""
    file = nodeid.partition("::")[0]
    if file.startswith("tests/redirects/"):  # the front ends of one kind serve all files
        kind = _KIND.search(nodeid)
        return f"tests/redirects/{kind[1] if kind else ''}"
    if file in _OUTSIDE:
        return "tests/security/"
    return next((each for each in _SHARING if file.startswith(each)), file)


def sort(items: list[pytest.Item]) -> None:
    """Sort tests so that the slowest groups come first."""
    items.sort(key=lambda item: -_SECONDS.get(group(item.nodeid), 0))


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Groups in the order in which the workers have collected them."""

    def __init__(self, config: pytest.Config) -> None:
        super().__init__(config)
        config.option.loadscopereorder = False  # by the number of tests

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)
