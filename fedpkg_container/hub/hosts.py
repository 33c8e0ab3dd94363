# SPDX-License-Identifier: GPL-2.0-or-later
"""Check-ins of builders: tasks wait for a builder of their architecture; kojid checks in every few seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fedpkg_container.hub.events import NoBuilder, TaskState
from fedpkg_container.model.koji_types import HostInfo

#: Seconds without a check-in after which a builder is reported as silent. The Koji hub assigns such a builder no tasks
#: after 180 s and frees its tasks after 900 s. The clocks of hub and client may differ by as much as Kerberos accepts.
CHECK_IN_TIMEOUT = 300.0


def hosts_of_arch(hosts: Sequence[HostInfo], arch: str) -> list[HostInfo]:
    """Return the hosts that can run tasks of an architecture, comparing names literally, as the hub does."""
    return [host for host in hosts if arch == "noarch" or arch in (host["arches"] or "").split()]


def seconds_since_check_in(hosts: Sequence[HostInfo], now: float) -> float | None:
    """Return the seconds since the last check-in of any of the hosts; None if there was none."""
    check_ins = [float(last) for host in hosts if (last := host.get("update_ts")) is not None]
    return max(now - max(check_ins), 0.0) if check_ins else None


def find_tasks_without_builder(
    tasks: Sequence[TaskState], channels: Mapping[int, Sequence[HostInfo]], now: float
) -> dict[tuple[int, str], NoBuilder]:
    """Return a ``NoBuilder`` event for each channel and architecture whose waiting tasks no builder can run.

    :param channels: enabled hosts by channel ID; tasks of other channels are ignored
    :param now: time by the client's clock, seconds since the epoch
    """
    events: dict[tuple[int, str], NoBuilder] = {}
    for task in tasks:
        if not task.is_waiting or task.channel is None or task.channel not in channels:
            continue
        if (task.channel, task.arch) in events:
            continue
        hosts = hosts_of_arch(channels[task.channel], task.arch)
        seconds = seconds_since_check_in(hosts, now)
        if seconds is None or seconds >= CHECK_IN_TIMEOUT:
            events[task.channel, task.arch] = NoBuilder(task, len(hosts), seconds)
    return events
