# SPDX-License-Identifier: GPL-2.0-or-later
"""Probes of several mirrors at the same time; a mirror that does not respond is skipped."""

from __future__ import annotations

import collections
import contextlib
from collections.abc import Callable, Iterator, Sequence

from fedpkg_container.registry.probing.http import FAILED, MirrorHTTP, ProbedBlob, Verdict, guard_for
from fedpkg_container.registry.redirects.settings import Address
from fedpkg_container.registry.workers import MAX_CONSECUTIVE_FAILURES, WorkerPool

_SKIPPED = Verdict(FAILED, "not requested, because the mirror is unavailable")


class Prober:
    """Probes mirrors.

    :param pool: worker pool for requests
    """

    def __init__(self, mirrors: Sequence[MirrorHTTP], pool: WorkerPool) -> None:
        self.mirrors, self._pool = tuple(mirrors), pool

    def cancel(self, reason: str) -> None:
        """Cancel all requests, which fail soon with this reason."""
        for mirror in self.mirrors:
            mirror.cancel(reason)

    def probe(
        self, jobs: Sequence[tuple[MirrorHTTP, ProbedBlob]], download: Callable[[ProbedBlob], bool]
    ) -> Iterator[tuple[MirrorHTTP, ProbedBlob, Verdict]]:
        """Probe mirrors for blobs, and yield the results in any order.

        After ``MAX_CONSECUTIVE_FAILURES`` of a mirror, its other jobs fail without a request.

        :param download: returns whether a blob is to be read and hashed
        """
        failures: collections.Counter[str] = collections.Counter()

        def run(job: tuple[MirrorHTTP, ProbedBlob]) -> Verdict:
            mirror, blob = job
            if failures[mirror.url] >= MAX_CONSECUTIVE_FAILURES:
                return _SKIPPED
            verdict = mirror.probe(blob, download=download(blob))
            failures[mirror.url] = failures[mirror.url] + 1 if verdict.kind == FAILED else 0
            return verdict

        for outcome in self._pool.as_completed(jobs, run):
            if outcome.error is not None:
                raise outcome.error
            yield (*outcome.job, outcome.result or _SKIPPED)


@contextlib.contextmanager
def open_prober(
    addresses: Sequence[Address], parallel: int, received: Callable[[int], None] = lambda _: None
) -> Iterator[Prober]:
    """Open clients for mirrors.

    :param addresses: base URLs
    :param parallel: number of concurrent requests
    :param received: called with the number of bytes of each part of a download
    """
    guard = guard_for(addresses)
    with contextlib.ExitStack() as stack:
        mirrors = [
            stack.enter_context(MirrorHTTP(address, guard, received=received)) for address in dict.fromkeys(addresses)
        ]

        def cancel() -> None:
            for mirror in mirrors:
                mirror.cancel()

        yield Prober(mirrors, stack.enter_context(WorkerPool(parallel, cancel=cancel)))
