# SPDX-License-Identifier: GPL-2.0-or-later
"""Limits: size of external images, deadlines shared by several steps, and networks that builds must not reach."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from fedpkg_container.errors import BuildFailedError, FedpkgContainerError

_GIGABYTE = 10**9
#: Solution for errors about exceeded limits.
RAISE_LIMIT = "if the size is intended, raise the limit in [limits] of the site configuration"


@dataclass(frozen=True)
class ImageLimits:
    """Maximum sizes of a base image to import.

    :param size: bytes of its archive, or of all its blobs in a registry, compressed
    :param decompressed: bytes of the decompressed archive, and of each layer of a docker-archive
    :param members: number of files in the archive
    """

    size: int = 10 * _GIGABYTE
    decompressed: int = 20 * _GIGABYTE
    members: int = 10_000


DEFAULT_LIMITS = ImageLimits()


@dataclass(frozen=True)
class Deadline:
    """A time limit for an operation.

    :param what: subject of the error message, e.g. ``promoting hello-1-1``
    :param seconds: time allowed, from ``started``
    :param solution: what to do when it has passed
    :param error: type of the error raised when it has passed
    :param started: start time, from ``time.monotonic``
    """

    what: str
    seconds: float
    solution: str = ""
    error: type[FedpkgContainerError] = BuildFailedError
    started: float = field(default_factory=time.monotonic)

    @property
    def remaining(self) -> float:
        """Seconds left; 0 when it has passed."""
        return max(self.started + self.seconds - time.monotonic(), 0.0)

    def check(self) -> None:
        """Raise ``error`` if it has passed."""
        if not self.remaining:
            raise self.failure()

    def failure(self) -> FedpkgContainerError:
        """Return the error to raise when it has passed."""
        return self.error(f"{self.what}: exceeded the time limit of {self.seconds:g} s", solution=self.solution)

    def within(self, part: Deadline) -> Deadline:
        """Return the deadline of a part, or this one if it is earlier."""
        return part if part.remaining < self.remaining else self

    @contextlib.contextmanager
    def enforced(self, stop: Callable[[], None]) -> Iterator[None]:
        """Call ``stop`` from another thread if the deadline passes during the block, which then raises ``error``.

        :param stop: makes the operation that the block waits for fail
        """
        self.check()
        passed = threading.Event()

        def end() -> None:
            passed.set()
            stop()

        timer = threading.Timer(self.remaining, end)
        timer.daemon = True
        timer.start()
        try:
            yield
        except (FedpkgContainerError, OSError, ValueError) as error:
            if passed.is_set():
                raise self.failure() from error
            raise
        finally:
            timer.cancel()
        if passed.is_set():  # a broken connection looks like the end of a file
            raise self.failure()


#: IPv4 networks that are blocked on every site.
BLOCKED_NETWORKS = (
    "0.0.0.0/8",  # this host (RFC 1122)
    "169.254.0.0/16",  # link-local (RFC 3927): metadata and credentials services of most clouds
    "100.100.100.200/32",  # metadata service of Alibaba Cloud
    "168.63.129.16/32",  # metadata service of Azure, besides 169.254.169.254
    "192.0.0.192/32",  # metadata service of Oracle Cloud, older address
    "224.0.0.0/4",  # multicast
    "240.0.0.0/4",  # reserved, and broadcast
)
