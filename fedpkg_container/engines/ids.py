# SPDX-License-Identifier: GPL-2.0-or-later
"""Subordinate IDs: users and groups of workers, without rights on this machine.

On a builder, they belong to one account in /etc/subuid and /etc/subgid, in ranges of 65,536: the first owns the base
images, and each running build has one of the others exclusively. In a user namespace (of an ordinary user, or a
container), all builds share one range: the IDs mapped there, except the first.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fedpkg_container.errors import FedpkgContainerError
from fedpkg_container.locking import acquire, locked

#: Default account whose ranges are used.
ACCOUNT = "fedpkg-container"
#: IDs per range: all that a file system in an image may use (0 to 65535).
COUNT = 65536
#: Lowest accepted ID: above those of the machine's users, UID_MAX (login.defs(5)) and ``nobody``.
LOWEST = 65536
#: Minimum count: images have files of ``nobody``, 65534.
LEAST = 65535
_UID_MAP = Path("/proc/self/uid_map")
_ALL = 4294967295
_FILES = (Path("/etc/subuid"), Path("/etc/subgid"))
#: Locks of ranges: machine-wide, since builders with other directories share the ranges.
_LOCKS = Path("/run/fedpkg-container/ids")
#: Time to wait for a free range, seconds.
TIMEOUT = 3600.0


@dataclass(frozen=True)
class IdRange:
    """IDs ``first`` … ``first + count - 1``, of both users and groups, as this process sees them."""

    first: int
    count: int


@dataclass(frozen=True)
class Ids:
    """The ranges of this machine.

    :param base: owns the base images
    :param builds: one per running build; empty if all share ``base``
    """

    base: IdRange
    builds: tuple[IdRange, ...] = ()

    @contextlib.contextmanager
    def allocated(self) -> Iterator[IdRange]:
        """Allocate a range for one build.

        :raises FedpkgContainerError: if all were in use for ``TIMEOUT`` seconds
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
    """Return whether this process is in a user namespace, which maps only some IDs."""
    return _mapped() != _ALL


def _mapped() -> int:
    """Number of mapped IDs."""
    return sum(int(line.split()[2]) for line in _UID_MAP.read_text().splitlines())


def read_ids(account: str = ACCOUNT) -> Ids:
    """Return the ranges of this machine.

    :param account: owner of a builder's ranges; ignored in a user namespace
    :raises FedpkgContainerError: if there are none; states what to configure
    """
    if in_user_namespace():
        count = min(_mapped() - 1, COUNT)
        if count < LEAST:
            raise FedpkgContainerError(
                f"only {count + 1} user IDs exist in this user namespace, and images need {LEAST + 1}",
                solution="map 65536 IDs or more: see docs/howto/site.md",
            )
        return Ids(IdRange(1, count))
    users, groups = (_ranges(path, account) for path in _FILES)
    ranges = [each for each in users if each in groups]
    if len(ranges) < 2:
        raise FedpkgContainerError(
            f"account {account} has no two ranges of {COUNT} subordinate IDs, the same in {_FILES[0]} and {_FILES[1]}",
            solution=f"add {account}:1073741824:1048576 to both files; see docs/howto/site.md",
        )
    return Ids(ranges[0], tuple(ranges[1:]))


def _ranges(path: Path, account: str) -> list[IdRange]:
    """Return the IDs that a file assigns to an account, in disjoint ranges of ``COUNT``.

    IDs below ``LOWEST`` are skipped: they belong to users of this machine, including root.
    """
    ranges: list[IdRange] = []
    with contextlib.suppress(FileNotFoundError):
        for owner, first, count in subordinate(path):
            if owner != account:
                continue
            at = max(first, LOWEST)
            while at + COUNT <= first + count:
                if all(abs(at - each.first) >= COUNT for each in ranges):
                    ranges.append(IdRange(at, COUNT))
                at += COUNT
    return ranges


def subordinate(path: Path) -> Iterator[tuple[str, int, int]]:
    """Lines of /etc/subuid or /etc/subgid (subuid(5)): owner, first ID and count.

    :raises FileNotFoundError: if the file does not exist
    """
    for line in path.read_text(errors="replace").splitlines():
        if match := re.fullmatch(r"([^:]*):([0-9]{1,10}):([0-9]{1,10})", line.strip()):
            yield match[1], int(match[2]), int(match[3])
