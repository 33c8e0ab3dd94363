"""How much time has passed between two runs, whatever happened to the clock in between."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Moment:
    """A moment, by two clocks.

    :param wall: seconds since 1970, as whoever sets the clock has it
    :param boot: which start of the machine it is; empty where that cannot be known
    :param running: seconds since then; nobody can set this clock
    """

    wall: float
    boot: str
    running: float

    @classmethod
    def now(cls) -> Moment:
        """This moment."""
        try:
            boot = _BOOT.read_text().strip()
        except OSError:
            boot = ""
        return cls(time.time(), boot, time.clock_gettime(time.CLOCK_BOOTTIME))

    def since(self, earlier: Moment, *, longest: float) -> float:
        """Seconds that have passed.

        While the machine has not been started anew this is exact. Afterwards there is only the wall clock: it counts
        as nothing when it went back, and as ``longest`` at the most when it went ahead.
        """
        if self.boot and self.boot == earlier.boot:
            return max(self.running - earlier.running, 0.0)
        return min(max(self.wall - earlier.wall, 0.0), longest)
