"""For how long nothing has reached a file, and which may go.

The age of a file grows with each run by the time since the run before (``clock.Moment.since``), so a clock that jumps
makes nothing old at once: as long as the machine is not started anew its own clock counts, which nobody can set, and
over a start at most a quarter of the grace period is counted. What is lost or in doubt makes files stay for longer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from fedpkg_container.registry.mirror.clock import Moment
from fedpkg_container.registry.mirror.state import State

#: The moment of the last run that counted, among the facts.
_COUNTED = "counted"
#: The part of the grace period that one run may add when only the wall clock is there to tell.
_PART = 0.25


def expired(
    state: State, unreached: Collection[str], in_doubt: Callable[[str], bool], *, now: Moment, grace: float
) -> list[str]:
    """Count the time; the paths that nothing has reached for the grace period.

    :param unreached: paths that nothing reaches, as far as that could be told
    :param in_doubt: whether nothing can be told of a path in this run: its age stays what it is
    :param grace: seconds; 0: at once
    """
    earlier = state.moment(_COUNTED)
    passed = now.since(earlier, longest=grace * _PART) if earlier else 0.0
    state.note(_COUNTED, now)
    ages = {path: age for path, age in state.unreached.items() if in_doubt(path)}
    for path in unreached:
        ages[path] = state.unreached[path] + passed if path in state.unreached else 0.0
    state.unreached = ages
    return sorted(path for path in unreached if ages[path] >= grace)
