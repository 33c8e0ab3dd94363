# SPDX-License-Identifier: GPL-2.0-or-later
"""Events of a build as reported by the hub, the input of progress renderers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Union

from fedpkg_container.model.build import BuildResult
from fedpkg_container.model.koji_types import BuildInfo
from fedpkg_container.text import format_duration


@dataclass(frozen=True)
class TaskState:
    """State of a task in the task tree.

    :param state: FREE, OPEN, CLOSED, CANCELED, ASSIGNED or FAILED
    :param label: distinguishes it from its siblings, usually the architecture; empty for the root
    :param host: name of its builder; empty if none is assigned or its name is not known yet
    :param arch: architecture of builders that can run it; ``noarch``: any
    :param channel: ID of the channel whose builders can run it
    :param created: creation time in seconds since the epoch by the hub's clock, as are the next two
    :param started: start time; None if not started
    :param completed: end time; None if not ended
    """

    id: int
    parent: int | None
    method: str
    label: str
    state: str
    host: str
    has_host: bool = False
    created: float | None = None
    started: float | None = None
    completed: float | None = None
    arch: str = "noarch"
    channel: int | None = None

    @property
    def ended(self) -> bool:
        """Whether the task is in a final state."""
        return self.state in {"CLOSED", "CANCELED", "FAILED"}

    @property
    def is_waiting(self) -> bool:
        """Whether the task waits for a builder to start it."""
        return self.state in {"FREE", "ASSIGNED"}

    @property
    def name(self) -> str:
        """ID, method and label, for display."""
        return f"{self.id} {self.method}" + (f" ({self.label})" if self.label else "")


@dataclass(frozen=True)
class Submitted:
    """A task was submitted and can be followed.

    :param url: task page in Koji's web interface; empty if unknown
    :param nvr: expected NVR; empty if unknown
    :param average: average duration of earlier builds of the package, in seconds
    :param title: display name of the build
    """

    task_id: int
    url: str = ""
    nvr: str = ""
    average: float | None = None
    title: str = ""


@dataclass(frozen=True)
class TaskChanged:
    """A task was created, or its state changed."""

    task: TaskState


@dataclass(frozen=True)
class LogLines:
    """Consecutive lines of a log, without control characters and newlines."""

    task: TaskState
    log: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Requesting:
    """A request is sent to the hub; ``Responded`` or ``ContactLost`` follows."""


@dataclass(frozen=True)
class Responded:
    """The hub responded to a request."""


@dataclass(frozen=True)
class ContactLost:
    """The hub does not respond; the request is retried.

    :param seconds: time since the first failure
    :param reason: why the request failed, a short phrase
    :param retry_timeout: seconds after which retrying stops
    """

    seconds: float
    reason: str = ""
    retry_timeout: float = 0.0


@dataclass(frozen=True)
class ContactRegained:
    """The hub responds again."""

    seconds: float


@dataclass(frozen=True)
class NoBuilder:
    """A task waits, and no builder that could run it has checked in with the hub recently.

    Sent repeatedly, with updated values, while this lasts.

    :param task: the first task that waits for such a builder
    :param builders: number of enabled builders for the architecture in the task's channel
    :param seconds: time since the last check-in of any of them; None if there was none
    """

    task: TaskState
    builders: int
    seconds: float | None

    @property
    def text(self) -> str:
        """Message to display."""
        kind = "builder" if self.task.arch == "noarch" else f"builder for {self.task.arch}"
        if not self.builders:
            return f"the task's channel has no enabled {kind}"
        if self.seconds is None:
            return f"no {kind} has ever checked in with the hub"
        return f"no {kind} has checked in with the hub for {format_duration(self.seconds // 60 * 60)}"


@dataclass(frozen=True)
class BuilderSeen:
    """The condition reported by ``NoBuilder`` is over: a builder has checked in, or no task waits for one."""

    arch: str


@dataclass(frozen=True)
class Finished:
    """The build has ended.

    :param result: result of the task if it is CLOSED
    :param fault: error message if it is FAILED, one sentence
    :param failed: the task that failed: a descendant of the root, or the root
    :param builds: Koji builds created
    :param logs: names of the logs of ``failed``
    """

    task: TaskState
    result: BuildResult = field(default_factory=BuildResult)
    fault: str = ""
    failed: TaskState | None = None
    builds: list[BuildInfo] = field(default_factory=list)
    logs: tuple[str, ...] = ()


Event = Union[
    Submitted,
    TaskChanged,
    LogLines,
    Requesting,
    Responded,
    ContactLost,
    ContactRegained,
    NoBuilder,
    BuilderSeen,
    Finished,
]
