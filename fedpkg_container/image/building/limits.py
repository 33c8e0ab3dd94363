"""Watching what a build uses of its builder, and ending it when that is too much."""

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

#: Seconds between two measurements, at the least, and how much longer than a measurement took.
MEASURE_INTERVAL = 3.0
PAUSE_FACTOR = 20
#: The part of its size limit that a build may write before it is measured again at once.
REMEASURE_FRACTION = 8


@dataclass
class DiskMonitor:
    """Looks at a build's folder now and then: often enough to end a build in time, and seldom enough to be cheap.

    :param directory: where the build's layers and temporary files are
    """

    directory: Path
    limits: Limits
    _next_measurement: float = 0.0
    _free_before: int = field(default=0)

    def check(self) -> None:
        """Look, if it is time.

        :raises BuildFailedError: the build has written more than it may, or the file system is nearly full
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
                solution="leave less behind: clean caches in the RUN that fills them; the limit is the site's",
            )
        if files > self.limits.build_files:
            raise BuildFailedError(
                f"the build made more than {self.limits.build_files} files",
                solution="leave fewer behind; the limit is the site's (build_files)",
            )


def check_free_space(directory: Path, limits: Limits) -> int:
    """The bytes that are free in the file system of a folder.

    :raises BuildFailedError: that is less than must stay free
    """
    free = shutil.disk_usage(directory).free
    if free < limits.free_space:
        raise BuildFailedError(
            f"the builder has only {_format_size(free)} left for builds",
            solution="build again: another builder may have more; or ask the site for larger disks",
        )
    status = os.statvfs(directory)
    if status.f_files and status.f_favail < limits.free_files:
        raise BuildFailedError(
            f"the builder has only {status.f_favail} inodes left for builds",
            solution="build again: another builder may have more; or ask the site for larger disks",
        )
    return free


def disk_guard(directory: Path, limits: Limits, log: BuildLog) -> Callable[[], None]:
    """What is to be called now and then while something is brought into a folder: sources, files, base images.

    It sends the log, and with that learns whether the task was canceled, and raises ``BuildFailedError`` when the disk
    is nearly full.
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
