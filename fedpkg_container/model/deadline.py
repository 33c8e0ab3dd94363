"""A time by which something must have ended, shared by all steps that it is for."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from fedpkg_container.errors import BuildFailedError, FedpkgContainerError


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
