"""How often a hub is polled."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """How often a hub is asked; all in seconds.

    :param tick: between two questions while a state or a log has changed lately
    :param slowest: the same when nothing has happened for long
    :param hub_timeout: for how long a hub that does not answer is asked again
    :param waiting: how long a task waits for a builder until the builders are looked at, and between two looks
    """

    tick: float = 1.0
    slowest: float = 5.0
    hub_timeout: float = 600.0
    waiting: float = 60.0


USUAL = Pace()
