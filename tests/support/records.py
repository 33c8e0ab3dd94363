# SPDX-License-Identifier: GPL-2.0-or-later
"""A Koji with the images and tasks given by a test."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from fedpkg_container.errors import LostContactError
from fedpkg_container.model.koji_images import ImageRecord, TaskRecord

RUNNING, ENDED = TaskRecord(builds=True, ended=False), TaskRecord(builds=True, ended=True)


@dataclass
class ToldRecords:
    """``Records`` of the model.

    :param known: digest → record of the image
    :param known_tasks: id → record of the task
    :param answers: number of answers before it fails; None for no limit
    """

    known: dict[str, ImageRecord] = field(default_factory=dict)
    known_tasks: dict[int, TaskRecord] = field(default_factory=dict)
    answers: int | None = None

    def images(self, digests: Collection[str], young: float) -> Mapping[str, ImageRecord]:  # noqa: ARG002
        """Return those images that are known."""
        self._answer()
        return {digest: record for digest, record in self.known.items() if digest in digests}

    def tasks(self, ids: Collection[int]) -> Mapping[int, TaskRecord]:
        """Return those tasks that are known."""
        self._answer()
        return {each: task for each, task in self.known_tasks.items() if each in ids}

    def _answer(self) -> None:
        if self.answers is not None:
            self.answers -= 1
            if self.answers < 0:
                raise LostContactError("the hub is gone")
