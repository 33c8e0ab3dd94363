"""What one run of a mirror is to do."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from fedpkg_container.registry.mirror.clock import Moment

DAY = 86400.0


@dataclass(frozen=True)
class Options:
    """What one run is to do.

    :param folder: the tree; it is made when it is not there
    :param name: under which clients know the registry, host and port; empty: that under which it is asked
    :param repositories: patterns of the repositories that are exported (``*``, ``?``, ``[...]``); others are left alone
    :param prefix: only repositories below it, without a slash at its end; empty for all
    :param parallel: requests at the same time
    :param grace: seconds for which a file stays that nothing reaches any more
    :param rate: bytes a second for all requests together; 0 for no limit
    :param record: what ``promote`` wrote; None: every tag is asked for
    :param full: ask for every tag even so
    :param verify: read the whole tree and mend what is wrong
    :param archives: export images as archives too
    :param dry_run: change nothing
    :param now: the clocks
    """

    folder: Path
    name: str = ""
    repositories: tuple[str, ...] = ("*",)
    prefix: str = ""
    parallel: int = 8
    grace: float = 7 * DAY
    rate: int = 0
    record: Path | None = None
    full: bool = False
    verify: bool = False
    archives: bool = False
    dry_run: bool = False
    now: Callable[[], Moment] = field(default=Moment.now)

    def wants(self, repository: str) -> bool:
        """Whether a repository is to be exported."""
        below = not self.prefix or repository.startswith(f"{self.prefix}/")
        return below and any(fnmatch.fnmatchcase(repository, pattern) for pattern in self.repositories)
