"""Limits: sizes of images from outside, a deadline that several steps share, and networks that no build reaches."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from fedpkg_container.errors import BuildFailedError, FedpkgContainerError

_GIGABYTE = 10**9
#: What to do where a limit is too small.
RAISE_LIMIT = "if this is meant, raise the limit in [limits] of the site's file"


@dataclass(frozen=True)
class ImageLimits:
    """How much of a base image is read that is imported.

    :param size: bytes of its archive, or of all its blobs in a registry, as they are packed
    :param decompressed: bytes of the archive when it is decompressed, and of each layer of a docker-archive
    :param members: files in the archive
    """

    size: int = 10 * _GIGABYTE
    decompressed: int = 20 * _GIGABYTE
    members: int = 10_000


DEFAULT_LIMITS = ImageLimits()


@dataclass(frozen=True)
class Deadline:
    """A time by which something must have ended.

    :param what: subject of the error message, e.g. ``promoting hello-1-1``
    :param seconds: time allowed, from ``began``
    :param solution: what to do when it has passed
    :param error: kind of the error that is raised then
    :param began: of ``time.monotonic``
    """

    what: str
    seconds: float
    solution: str = ""
    error: type[FedpkgContainerError] = BuildFailedError
    began: float = field(default_factory=time.monotonic)

    @property
    def remaining(self) -> float:
        """Seconds left; 0 when it has passed."""
        return max(self.began + self.seconds - time.monotonic(), 0.0)

    def check(self) -> None:
        """Raise ``error`` if it has passed."""
        if not self.remaining:
            raise self.failure()

    def failure(self) -> FedpkgContainerError:
        """Return the error that says that it has passed."""
        return self.error(f"{self.what} takes longer than {self.seconds:g} s", solution=self.solution)

    def within(self, part: Deadline) -> Deadline:
        """Return the deadline of a part, or this one when it comes first."""
        return part if part.remaining < self.remaining else self

    @contextlib.contextmanager
    def enforced(self, stop: Callable[[], None]) -> Iterator[None]:
        """Call ``stop``, from another thread, when it passes during the block; the block then ends in ``error``.

        :param stop: makes what the block waits for fail
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
        if passed.is_set():  # a connection that is broken looks like the end of a file
            raise self.failure()


#: Networks of IPv4 that are closed on any site.
CLOSED = (
    "0.0.0.0/8",  # this host (RFC 1122)
    "169.254.0.0/16",  # link-local (RFC 3927): where most clouds answer for metadata and credentials
    "100.100.100.200/32",  # the same in Alibaba Cloud
    "168.63.129.16/32",  # the same in Azure, beside 169.254.169.254
    "192.0.0.192/32",  # the same in Oracle Cloud, its older address
    "224.0.0.0/4",  # multicast
    "240.0.0.0/4",  # reserved, and broadcast
)
