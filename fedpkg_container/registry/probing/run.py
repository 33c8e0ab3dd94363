# SPDX-License-Identifier: GPL-2.0-or-later
"""Comparison of mirrors with the mirror tree: a sample of its blobs is fetched from each of them and hashed."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedpkg_container.errors import FedpkgContainerError
from fedpkg_container.registry.mirror.tree import BlobEntry, Tree
from fedpkg_container.registry.probing.http import FAILED, MISSING, PRESENT, VERIFIED, WRONG, ProbedBlob
from fedpkg_container.registry.probing.prober import open_prober
from fedpkg_container.registry.progress import Progress
from fedpkg_container.registry.redirects.settings import Address
from fedpkg_container.text import printable_line

#: Version of the JSON report; incremented when its keys change.
VERSION = 1
#: Number of blobs in a sample by default.
SAMPLE = 20


@dataclass(frozen=True)
class ProbeOptions:
    """What to probe.

    :param directory: the mirror tree
    :param mirrors: base URLs, below which mirrors have ``v2/NAME/blobs/DIGEST``
    :param sample: number of blobs; half of them are the newest, the others are chosen at random. 0 for all
    :param max_download: size in bytes up to which a blob is read and hashed; of larger ones only the size is compared
    :param timeout: seconds after which no more requests are sent
    :param parallel: number of concurrent requests
    :param wants: returns whether the blobs of a repository are probed
    """

    directory: Path
    mirrors: tuple[Address, ...]
    sample: int = SAMPLE
    max_download: int = 100 * 10**6
    timeout: float = 600.0
    parallel: int = 8
    wants: Callable[[str], bool] = lambda _: True


@dataclass
class MirrorReport:
    """Results for one mirror.

    :param verified: number of blobs whose content matches their digest; ``present``: only the size was compared
    :param problems: kind (missing, wrong or failed) → path below the mirror's URL → reason
    """

    url: str
    verified: int = 0
    present: int = 0
    problems: dict[str, dict[str, str]] = field(default_factory=lambda: {MISSING: {}, WRONG: {}, FAILED: {}})

    def report(self) -> dict[str, Any]:
        """Return the results as a JSON object."""
        return {"url": self.url, VERIFIED: self.verified, PRESENT: self.present, **self.problems}


@dataclass
class ProbeReport:
    """Results of a probe.

    :param blobs: number of blobs in the tree, counted per repository; ``sampled`` of them were probed
    :param received: bytes read from mirrors
    """

    directory: Path
    blobs: int = 0
    sampled: int = 0
    received: int = 0
    seconds: float = 0.0
    mirrors: list[MirrorReport] = field(default_factory=list)

    def count(self, kind: str) -> int:
        """Return the number of problems of a kind on all mirrors."""
        return sum(len(mirror.problems[kind]) for mirror in self.mirrors)

    def report(self) -> dict[str, Any]:
        """Return the results as a JSON object."""
        return {
            "version": VERSION,
            "directory": printable_line(str(self.directory)),
            "blobs": self.blobs,
            "sampled": self.sampled,
            "bytes": self.received,
            "seconds": round(self.seconds, 3),
            "mirrors": [mirror.report() for mirror in self.mirrors],
        }


def probe(
    options: ProbeOptions, progress: Progress | None = None, *, choose: random.Random | None = None
) -> ProbeReport:
    """Compare mirrors with a mirror tree; nothing is changed.

    :param choose: chooses the random part of the sample
    :raises FedpkgContainerError: if the tree has no blobs
    """
    began, progress, counting = time.monotonic(), progress or Progress(), threading.Lock()
    contents = Tree(options.directory, options.directory).contents()
    blobs = [entry for name, entries in contents.items() if options.wants(name) for entry in entries.values()]
    if not blobs:
        raise FedpkgContainerError(
            f"{printable_line(str(options.directory))} has no blobs to probe",
            solution="name the directory that mirror writes; run mirror first",
        )
    sample = _sample(blobs, options.sample, choose or random.SystemRandom())
    report = ProbeReport(options.directory, len(blobs), len(sample))

    def received(size: int) -> None:
        with counting:
            report.received += size
        progress.received(size)

    with open_prober(options.mirrors, options.parallel, received) as prober:
        reports = {mirror.url: MirrorReport(mirror.url) for mirror in prober.mirrors}
        report.mirrors = list(reports.values())
        progress.began("probes", len(sample) * len(reports))
        timer = threading.Timer(options.timeout, prober.cancel, [f"not checked within {options.timeout:g} s"])
        timer.daemon = True
        timer.start()
        try:
            jobs = [(mirror, blob) for blob in sample for mirror in prober.mirrors]
            for mirror, blob, verdict in prober.probe(jobs, lambda blob: blob.size <= options.max_download):
                progress.advanced()
                if verdict.kind in (VERIFIED, PRESENT):
                    setattr(reports[mirror.url], verdict.kind, getattr(reports[mirror.url], verdict.kind) + 1)
                else:
                    reports[mirror.url].problems[verdict.kind][blob.path] = printable_line(verdict.reason)
        finally:
            timer.cancel()
    report.seconds = time.monotonic() - began
    return report


def _sample(entries: Sequence[BlobEntry], number: int, choose: random.Random) -> list[ProbedBlob]:
    """Return a sample of blobs: the newest ones, which mirrors may lack, and others, which they may have damaged.

    :param number: 0 for all
    """
    newest = sorted(entries, key=lambda entry: (-entry.changed, entry.repository, entry.digest))
    if 0 < number < len(newest):
        half = (number + 1) // 2
        newest = newest[:half] + choose.sample(newest[half:], number - half)
    return [ProbedBlob(entry.repository, entry.digest, entry.size) for entry in newest]
