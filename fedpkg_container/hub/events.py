"""What happens to a build, as the hub tells it: what renderers are given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Union


@dataclass(frozen=True)
class TaskState:
    """A task of the tree.

    :param state: FREE, OPEN, CLOSED, CANCELED, ASSIGNED or FAILED
    :param label: what tells it from its siblings, mostly the arch; empty for the root
    :param host: name of its builder; empty before it has one, or before its name is known
    """

    id: int
    parent: int | None
    method: str
    label: str
    state: str
    host: str
    has_host: bool = False

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in {"CLOSED", "CANCELED", "FAILED"}


@dataclass(frozen=True)
class TaskChanged:
    """A task has appeared, or its state has changed."""

    task: TaskState


@dataclass(frozen=True)
class LogLine:
    """A line of a log, without control characters and without its newline."""

    task: TaskState
    log: str
    text: str


@dataclass(frozen=True)
class ContactLost:
    """The hub does not answer; it is asked again.

    :param seconds: since when
    """

    seconds: float


@dataclass(frozen=True)
class ContactRegained:
    """The hub answers again."""

    seconds: float


@dataclass(frozen=True)
class Finished:
    """The build has ended.

    :param result: the task's result, when it is CLOSED
    :param fault: what went wrong, when it is FAILED
    :param failed: a task below the root that failed, or the root
    :param builds: the Koji builds that were made
    """

    task: TaskState
    result: dict[str, Any]
    fault: str = ""
    failed: TaskState | None = None
    builds: list[dict[str, Any]] = field(default_factory=list)


Event = Union[TaskChanged, LogLine, ContactLost, ContactRegained, Finished]
