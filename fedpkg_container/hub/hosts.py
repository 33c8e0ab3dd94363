"""When builders were last seen: a task waits until one of its arch checks in, which kojid does every few seconds."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from fedpkg_container.hub.events import NoBuilder, TaskState
from fedpkg_container.hub.tasks import optional
from fedpkg_container.model.polling import USUAL

#: Seconds without a check-in after which a builder is reported. Koji's hub gives it no tasks after 180 s, and frees its
#: tasks after 900 s. The clocks of hub and client may differ by as much as Kerberos accepts.
SILENCE = 300.0

#: A host as ``listHosts`` describes it.
Host = Mapping[str, Any]


def hosts_of_arch(hosts: Sequence[Host], arch: str) -> list[Host]:
    """The hosts that can take a task of an arch. Arches are compared as they are written, as the hub does."""
    return [host for host in hosts if arch == "noarch" or arch in (host["arches"] or "").split()]


def silence(hosts: Sequence[Host], now: float) -> float | None:
    """Seconds since one of some hosts checked in; None when none ever has."""
    moments = [float(host["update_ts"]) for host in hosts if host.get("update_ts") is not None]
    return max(now - max(moments), 0.0) if moments else None


def without_builder(
    tasks: Sequence[TaskState], channels: Mapping[int, Sequence[Host]], now: float
) -> dict[tuple[int, str], NoBuilder]:
    """The waiting tasks that no builder can take, one for each channel and arch.

    :param channels: the enabled hosts of channels; tasks of others are left out
    :param now: by the client's clock, seconds since the epoch
    """
    found: dict[tuple[int, str], NoBuilder] = {}
    for task in tasks:
        if not task.waits or task.channel is None or task.channel not in channels:
            continue
        if (task.channel, task.arch) in found:
            continue
        hosts = hosts_of_arch(channels[task.channel], task.arch)
        seconds = silence(hosts, now)
        if seconds is None or seconds >= SILENCE:
            found[task.channel, task.arch] = NoBuilder(task, len(hosts), seconds)
    return found


def look(session: Any, tasks: Sequence[TaskState]) -> list[NoBuilder]:
    """The same for tasks that have waited for some time: one request, and none when no task has."""
    now = time.time()
    waiting = [task for task in tasks if task.waits and now - (task.created or now) >= USUAL.waiting]
    channels = sorted({task.channel for task in waiting if task.channel is not None})
    if not channels:
        return []
    with session.multicall(strict=False) as multicall:
        calls = {channel: multicall.listHosts(channelID=channel, enabled=True) for channel in channels}
    hosts = {channel: answer for channel, call in calls.items() if (answer := optional(call)) is not None}
    return list(without_builder(waiting, hosts, now).values())
