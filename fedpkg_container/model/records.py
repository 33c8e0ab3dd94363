"""What Koji says of images that lie in a registry: which builds they are, who needs them, and of tasks."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Record:
    """What Koji says of an image.

    :param nvrs: the builds that recorded it; empty when there are none
    :param completed: when the last of them was complete, seconds since the epoch; None when that is not known
    :param needed: why it is needed, a part of a sentence; empty when it is not
    """

    nvrs: tuple[str, ...] = ()
    completed: float | None = None
    needed: str = ""


@dataclass(frozen=True)
class TaskRecord:
    """What Koji says of a task.

    :param builds: whether it is one that builds containers
    :param ended: whether it has ended, however that was
    """

    builds: bool
    ended: bool


class Records(Protocol):
    """Koji, as far as it is asked about images; every answer is as of now.

    Methods raise ``LostContactError`` when Koji cannot be reached.
    """

    def images(self, digests: Collection[str], young: float) -> Mapping[str, Record]:
        """What Koji says of some images, by their digests; those of which it says nothing are left out.

        :param young: builds that were complete after this moment are needed
        """

    def tasks(self, ids: Collection[int]) -> Mapping[int, TaskRecord]:
        """Some tasks; those that it does not know are left out."""
