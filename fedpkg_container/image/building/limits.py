# SPDX-License-Identifier: GPL-2.0-or-later
"""Disk limits of a build: monitoring of disk usage and of the builder's free space."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from fedpkg_container.engines import storage
from fedpkg_container.errors import BuildFailedError
from fedpkg_container.image.building.log import BuildLog
from fedpkg_container.image.config import Limits

#: Minimum pause between measurements: seconds, and multiples of the last one's duration.
MEASURE_INTERVAL = 3.0
PAUSE_FACTOR = 20
#: Measure at once when free space shrinks by this fraction (1/8) of the size limit.
REMEASURE_FRACTION = 8


BUILDER_FULL = "build again, perhaps on another builder; or contact the site administrators to get larger disks"


@dataclass
class DiskMonitor:
    """Measures the disk usage of a build at adaptive intervals, to stop it in time at low cost.

    :param directory: layers and temporary files of the build
    """

    directory: Path
    limits: Limits
    _next_measurement: float = 0.0
    _free_before: int = field(default=0)

    def check(self) -> None:
        """Measure, if it is due.

        :raises BuildFailedError: if the build exceeds its limits, or the file system is nearly full
        """
        free = check_free_space(self.directory, self.limits)
        if (
            time.monotonic() < self._next_measurement
            and self._free_before - free < self.limits.build_size / REMEASURE_FRACTION
        ):
            return
        started = time.monotonic()
        size, files = storage.size_of(self.directory), storage.files_of(self.directory)
        ended = time.monotonic()
        self._next_measurement, self._free_before = (
            ended + max(MEASURE_INTERVAL, PAUSE_FACTOR * (ended - started)),
            free,
        )
        if size > self.limits.build_size:
            raise BuildFailedError(
                f"the build wrote more than {_format_size(self.limits.build_size)}",
                solution="reduce the image size, e.g. clean caches in the same RUN; the limit is set by the site"
                " (build_size)",
            )
        if files > self.limits.build_files:
            raise BuildFailedError(
                f"the build created more than {self.limits.build_files} files",
                solution="reduce the number of files; the limit is set by the site (build_files)",
            )


def check_free_space(directory: Path, limits: Limits) -> int:
    """Return the free bytes in the file system of a directory.

    :raises BuildFailedError: if too few bytes or inodes are free
    """
    free = shutil.disk_usage(directory).free
    if free < limits.free_space:
        raise BuildFailedError(
            f"the builder has only {_format_size(free)} of free disk space",
            solution=BUILDER_FULL,
        )
    status = os.statvfs(directory)
    if status.f_files and status.f_favail < limits.free_files:
        raise BuildFailedError(
            f"the builder has only {status.f_favail} free inodes",
            solution=BUILDER_FULL,
        )
    return free


def disk_guard(directory: Path, limits: Limits, log: BuildLog) -> Callable[[], None]:
    """Return a function to call repeatedly while files are downloaded into a directory.

    It sends the log, which raises when the task was canceled, and raises ``BuildFailedError`` when the disk is nearly
    full, or the directory exceeds the build's limits: a repository of a few kilobytes may have millions of files.
    """
    monitor = DiskMonitor(directory, limits)

    def tick() -> None:
        log.flush()
        monitor.check()

    return tick


def free_space_guard(directory: Path, limits: Limits, log: BuildLog) -> Callable[[], None]:
    """Return a function to call repeatedly while an image is exported, which needs several times its size.

    Like ``disk_guard``, without the limits on the directory.
    """

    def tick() -> None:
        log.flush()
        check_free_space(directory, limits)

    return tick


def _format_size(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"
