# SPDX-License-Identifier: GPL-2.0-or-later
"""Why tasks wait: for a builder of their channel, a pod, or a repository."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fedpkg_container.hub.events import TaskState
from fedpkg_container.hub.hosts import CHECK_IN_TIMEOUT, hosts_of_arch
from fedpkg_container.model.koji_types import ChannelInfo, HostInfo
from fedpkg_container.text import format_duration, printable_line


@dataclass(frozen=True)
class Builder:
    """A builder of the channel in which a task waits.

    :param enabled: whether administrators allow it to run tasks
    :param ready: whether its daemon accepts tasks; it does not while memory or disk space is low
    :param last_seen: its last check-in, seconds since the epoch; None if there was none
    :param load: weight of its running tasks
    :param capacity: load at which it gets no more tasks
    """

    name: str
    arches: tuple[str, ...]
    enabled: bool
    ready: bool
    last_seen: float | None
    load: float
    capacity: float

    @property
    def is_full(self) -> bool:
        """Whether its load has reached its capacity."""
        return self.load >= self.capacity

    def is_silent(self, now: float) -> bool:
        """Whether it has not checked in recently."""
        return self.last_seen is None or now - self.last_seen >= CHECK_IN_TIMEOUT


@dataclass(frozen=True)
class Waiting:
    """A task that waits.

    :param channel: name of its channel; empty if unknown
    :param reason: why it waits, a phrase
    :param builders: all builders of the channel
    """

    task: TaskState
    reason: str
    channel: str = ""
    builders: tuple[Builder, ...] = ()


def waiting_task(task: TaskState, channel: ChannelInfo | None, hosts: Sequence[HostInfo] | None, now: float) -> Waiting:
    """Return why a task waits for a builder.

    :param channel: the task's channel; None if the hub does not return it
    :param hosts: all hosts of the channel, also disabled ones; None if the hub does not return them
    :param now: time by the client's clock, seconds since the epoch
    """
    name = printable_line(str((channel or {}).get("name") or ""))
    able = {host["id"] for host in hosts_of_arch(hosts or (), task.arch)}
    builders = {host["id"]: _builder(host) for host in hosts or ()}
    if hosts is None:
        reason = "the hub does not list the builders of its channel"
    elif channel is not None and channel.get("enabled") is False:
        reason = f"channel {name} is disabled"
    else:
        reason = _reason(task, name, [builder for number, builder in builders.items() if number in able], now)
    return Waiting(task, reason, name, tuple(builders.values()))


def _builder(host: HostInfo) -> Builder:
    last_seen = host.get("update_ts")
    return Builder(
        name=printable_line(host["name"]),
        arches=tuple(printable_line(host.get("arches") or "").split()),
        enabled=bool(host.get("enabled")),
        ready=bool(host.get("ready", True)),
        last_seen=None if last_seen is None else float(last_seen),
        load=float(host.get("task_load") or 0.0),
        capacity=float(host.get("capacity") or 0.0),
    )


def _reason(task: TaskState, channel: str, able: Sequence[Builder], now: float) -> str:
    """Return why none of the builders runs the task.

    :param able: builders of the channel for the task's architecture
    """
    kind = "builder" if task.arch == "noarch" else f"builder for {task.arch}"
    where = f" in channel {channel}" if channel else ""
    if not able:
        return f"there is no {kind}{where}"
    enabled = [builder for builder in able if builder.enabled]
    if not enabled:
        return f"every {kind}{where} is disabled: {_names(able)}"
    present = [builder for builder in enabled if not builder.is_silent(now)]
    if not present:
        last = max(builder.last_seen or -math.inf for builder in enabled)
        if last == -math.inf:
            return f"no {kind} has ever checked in with the hub"
        return f"no {kind} has checked in with the hub for {format_duration((now - last) // 60 * 60)}"
    if task.state == "ASSIGNED":
        return f"{task.host or 'a builder'} was assigned and has not started it yet"
    ready = [builder for builder in present if builder.ready]
    if not ready:
        return f"no {kind} accepts tasks, e.g. for lack of memory or disk space: {_names(present)}"
    free = [builder for builder in ready if not builder.is_full]
    if not free:
        return f"every {kind} is at capacity: {_names(ready)}"
    return f"the hub has not assigned it yet; available: {_names(free)}"


#: Maximum number of builders to name in a reason.
_MAX_NAMES = 3


def _names(builders: Sequence[Builder]) -> str:
    names = [builder.name for builder in builders[:_MAX_NAMES]]
    more = len(builders) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")


@dataclass(frozen=True)
class Repository:
    """The yum repository of a build tag, from which RUN installs packages.

    :param tag: the build tag
    :param id: ID of its newest repository; None if it has none
    :param created: its creation time, seconds since the epoch
    :param task_id: ID of the unfinished task that creates the next one (``newRepo``); None if there is none
    :param task_state: Koji's state of that task; empty if there is none
    """

    tag: str
    id: int | None
    created: float | None = None
    task_id: int | None = None
    task_state: str = ""


def repository_reason(repository: Repository) -> str:
    """Return why a repository makes a task wait, as a phrase; empty if it does not."""
    if repository.task_id is not None:
        return f"task {repository.task_id} is creating the next repository"
    return "" if repository.id is not None else "there is none, and no task is creating one"


def channels_of(tasks: Sequence[TaskState]) -> list[int]:
    """Return the IDs of the channels in which tasks wait for a builder."""
    return sorted({task.channel for task in tasks if task.is_waiting and task.channel is not None})


def waiting_tasks(
    tasks: Sequence[TaskState],
    channels: Mapping[int, ChannelInfo | None],
    hosts: Mapping[int, Sequence[HostInfo] | None],
    now: float,
) -> list[Waiting]:
    """Return, for each task that waits for a builder, why it waits.

    :param channels: channels by ID, as are ``hosts``
    """
    return [
        waiting_task(task, channels.get(task.channel or 0), hosts.get(task.channel or 0), now)
        for task in tasks
        if task.is_waiting
    ]
