"""Subordinate IDs: the users and groups as which workers run, so that they are nobody on this machine.

On a builder they are those of one account in /etc/subuid and /etc/subgid, in ranges of 65,536: the first owns the base
images, and each build that runs has one of the others to itself. In a user namespace (an ordinary user's, or that of a
container) all builds share one range: what is mapped there, but the first ID.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fedpkg_container.errors import FedpkgContainerError
from fedpkg_container.locking import acquire, locked

#: The account whose ranges are used, where a site names no other.
ACCOUNT = "fedpkg-container"
#: IDs in a range: all that a file system in an image may use (0 to 65535).
COUNT = 65536
#: The first ID that no user of a machine has: UID_MAX (login.defs(5)) and nobody are below.
LOWEST = 65536
#: Fewer than this are no use: images have files of nobody, 65534.
LEAST = 65535
_UID_MAP = Path("/proc/self/uid_map")
_ALL = 4294967295
_FILES = (Path("/etc/subuid"), Path("/etc/subgid"))
#: Locks of ranges: for the machine, since builders with other directories share the ranges.
_LOCKS = Path("/run/fedpkg-container/ids")
#: Seconds that a free range is waited for.
TIMEOUT = 3600.0


@dataclass(frozen=True)
class IdRange:
    """IDs ``first`` … ``first + count - 1``, of users and groups alike, as this process sees them."""

    first: int
    count: int


@dataclass(frozen=True)
class Ids:
    """The ranges of this machine.

    :param base: owns the base images
    :param builds: one for each build that runs; empty where all share ``base``
    """

    base: IdRange
    builds: tuple[IdRange, ...] = ()

    @contextlib.contextmanager
    def allocated(self) -> Iterator[IdRange]:
        """Allocate a range for one build.

        :raises FedpkgContainerError: all were in use for ``TIMEOUT`` seconds
        """
        if not self.builds:
            yield self.base
            return
        _LOCKS.mkdir(mode=0o755, parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:

            def attempt() -> IdRange:
                for each in self.builds:
                    with contextlib.suppress(BlockingIOError):
                        stack.enter_context(locked(_LOCKS / str(each.first), wait=False))
                        return each
                raise BlockingIOError

            try:
                allocated = acquire(attempt, timeout=TIMEOUT, poll_interval=0.5)
            except TimeoutError:
                raise FedpkgContainerError(
                    f"all {len(self.builds)} ranges of subordinate IDs were in use for {TIMEOUT:g} s",
                    solution=f"give the account more in {_FILES[0]} and {_FILES[1]}, or the builder a lower capacity",
                ) from None
            yield allocated


def in_user_namespace() -> bool:
    """Whether this process is in a user namespace, in which only some IDs exist."""
    return _mapped() != _ALL


def _mapped() -> int:
    """How many IDs exist here."""
    return sum(int(line.split()[2]) for line in _UID_MAP.read_text().splitlines())


def read_ids(account: str = ACCOUNT) -> Ids:
    """The ranges of this machine.

    :param account: whose ranges a builder uses; in a user namespace it has no meaning
    :raises FedpkgContainerError: there are none; with what to write where
    """
    if in_user_namespace():
        count = min(_mapped() - 1, COUNT)
        if count < LEAST:
            raise FedpkgContainerError(
                f"only {count + 1} user IDs exist in this user namespace, and images need {LEAST + 1}",
                solution="map 65536 IDs or more: docs/howto/site.md says how",
            )
        return Ids(IdRange(1, count))
    users, groups = (_ranges(path, account) for path in _FILES)
    ranges = [each for each in users if each in groups]
    if len(ranges) < 2:
        raise FedpkgContainerError(
            f"account {account} has no two ranges of {COUNT} subordinate IDs, the same in {_FILES[0]} and {_FILES[1]}",
            solution=f"add {account}:1073741824:1048576 to both files; docs/howto/site.md says more",
        )
    return Ids(ranges[0], tuple(ranges[1:]))


def _ranges(path: Path, account: str) -> list[IdRange]:
    """The IDs that a file gives to an account, in ranges of ``COUNT`` that have none in common.

    IDs below ``LOWEST`` are those of users of this machine, root among them, whatever the file says.
    """
    found: list[IdRange] = []
    with contextlib.suppress(FileNotFoundError):
        for owner, first, count in subordinate(path):
            if owner != account:
                continue
            at = max(first, LOWEST)
            while at + COUNT <= first + count:
                if all(abs(at - each.first) >= COUNT for each in found):
                    found.append(IdRange(at, COUNT))
                at += COUNT
    return found


def subordinate(path: Path) -> Iterator[tuple[str, int, int]]:
    """The lines of /etc/subuid or /etc/subgid (subuid(5)): owner, first ID and count.

    :raises FileNotFoundError: there is no such file
    """
    for line in path.read_text(errors="replace").splitlines():
        if found := re.fullmatch(r"([^:]*):([0-9]{1,10}):([0-9]{1,10})", line.strip()):
            yield found[1], int(found[2]), int(found[3])
