"""What happens to a build, as the hub tells it: what renderers are given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Union

from fedpkg_container.model.build import BuildResult
from fedpkg_container.text import format_duration


@dataclass(frozen=True)
class TaskState:
    """A task of the tree.

    :param state: FREE, OPEN, CLOSED, CANCELED, ASSIGNED or FAILED
    :param label: what tells it from its siblings, mostly the arch; empty for the root
    :param host: name of its builder; empty before it has one, or before its name is known
    :param arch: of builders that can take it; ``noarch``: any
    :param channel: id of the channel whose builders can take it
    :param created: when it was made, in seconds since the epoch by the hub's clock, as are the next two
    :param started: when a builder began with it; None before
    :param completed: when it ended; None before
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
        """Whether nothing more will happen to it."""
        return self.state in {"CLOSED", "CANCELED", "FAILED"}

    @property
    def waits(self) -> bool:
        """Whether no builder has started it."""
        return self.state in {"FREE", "ASSIGNED"}

    @property
    def name(self) -> str:
        """Id, method and label, to be shown."""
        return f"{self.id} {self.method}" + (f" ({self.label})" if self.label else "")


@dataclass(frozen=True)
class Submitted:
    """A task is there to be followed.

    :param url: of Koji's web pages; empty when they are not known
    :param nvr: what is built, as far as it is known
    :param average: seconds that earlier builds of the package took
    :param title: what a person calls it
    """

    task_id: int
    url: str = ""
    nvr: str = ""
    average: float | None = None
    title: str = ""


@dataclass(frozen=True)
class TaskChanged:
    """A task has appeared, or its state has changed."""

    task: TaskState


@dataclass(frozen=True)
class LogLines:
    """Lines of a log in order, without control characters and without their newlines."""

    task: TaskState
    log: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class ContactLost:
    """The hub does not answer; it is asked again.

    :param seconds: since when
    :param reason: what happened, in a few words
    :param patience: seconds for which it is asked again
    """

    seconds: float
    reason: str = ""
    patience: float = 0.0


@dataclass(frozen=True)
class ContactRegained:
    """The hub answers again."""

    seconds: float


@dataclass(frozen=True)
class NoBuilder:
    """A task waits, and no builder that could take it has checked in with the hub lately.

    It comes again while that lasts, with other numbers.

    :param task: the first that waits for such a builder
    :param builders: how many enabled ones there are for the arch, in the task's channel
    :param seconds: since the last one checked in; None when none ever has
    """

    task: TaskState
    builders: int
    seconds: float | None

    @property
    def text(self) -> str:
        """What is to be shown."""
        kind = "builder" if self.task.arch == "noarch" else f"builder for {self.task.arch}"
        if not self.builders:
            return f"the task's channel has no enabled {kind}"
        if self.seconds is None:
            return f"no {kind} has ever checked in with the hub"
        return f"no {kind} has checked in with the hub for {format_duration(self.seconds // 60 * 60)}"


@dataclass(frozen=True)
class BuilderSeen:
    """What ``NoBuilder`` reported of an arch is over: a builder has checked in, or no task waits for one."""

    arch: str


@dataclass(frozen=True)
class Finished:
    """The build has ended.

    :param result: what the task says, when it is CLOSED
    :param fault: what went wrong in one sentence, when it is FAILED
    :param failed: a task below the root that failed, or the root
    :param builds: the Koji builds that were made
    :param logs: names of the logs of ``failed``
    """

    task: TaskState
    result: BuildResult = field(default_factory=BuildResult)
    fault: str = ""
    failed: TaskState | None = None
    builds: list[dict[str, Any]] = field(default_factory=list)
    logs: tuple[str, ...] = ()


Event = Union[Submitted, TaskChanged, LogLines, ContactLost, ContactRegained, NoBuilder, BuilderSeen, Finished]
