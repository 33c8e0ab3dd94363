# SPDX-License-Identifier: GPL-2.0-or-later
"""Elapsed time between two runs, robust against changes of the wall clock."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class ClockReading:
    """Readings of two clocks at the same time.

    :param wall: wall clock, seconds since 1970
    :param boot: boot ID; empty if unknown
    :param running: seconds since boot, which cannot be adjusted
    """

    wall: float
    boot: str
    running: float

    @classmethod
    def now(cls) -> ClockReading:
        """Read the clocks."""
        try:
            boot = _BOOT.read_text().strip()
        except OSError:
            boot = ""
        return cls(time.time(), boot, time.clock_gettime(time.CLOCK_BOOTTIME))

    def since(self, earlier: ClockReading, *, limit: float) -> float:
        """Return the elapsed seconds since an earlier reading.

        The result is exact within one boot. After a reboot only the wall clock is available, so the result is limited
        to the range from 0 to ``limit``.
        """
        if self.boot and self.boot == earlier.boot:
            return max(self.running - earlier.running, 0.0)
        return min(max(self.wall - earlier.wall, 0.0), limit)
