"""The import of a build into Koji by a content generator, with its log and everything that is kept with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import koji

from fedpkg_container.hub.reservation import Reservation
from fedpkg_container.image.archive import described_file
from fedpkg_container.image.documents import Document
from fedpkg_container.image.log import BuildLog
from fedpkg_container.image.metadata import Provenance, Published, metadata
from fedpkg_container.model.build import BuiltImage
from fedpkg_container.model.recorded import image_of
from fedpkg_container.signals import uninterrupted


@dataclass(frozen=True)
class Importing:
    """What an import works with.

    :param generator: session of the account that imports
    :param after: called after each step
    """

    generator: Any
    log: BuildLog
    after: Callable[[str], None]

    def run(
        self,
        provenance: Provenance,
        published: Published,
        images: Sequence[BuiltImage],
        reservation: Reservation,
        upload: str,
        documents: Sequence[Document] = (),
    ) -> None:
        """Record a build for which its NVR is reserved.

        :param upload: folder on the hub, in which the files of the images are
        :param documents: files that are kept with the build
        """
        self.log.say(f"importing {reservation.nvr}")
        log = self.log.path
        self._upload(log, upload)
        logs = [described_file(log, "log", relpath="")]
        for document in documents:
            self._upload(document.path, upload)
            arch = {"arch": document.arch} if document.arch else {}
            logs.append({**described_file(document.path, "log", relpath=""), **arch})
        described = metadata(provenance, published, images, logs, reservation.build_id)
        path = log.parent / "metadata.json"
        path.write_text(json.dumps(described, indent=1))
        self._upload(path, upload)
        self.after("uploaded")
        with uninterrupted():  # the hub would go on, and what it imports must not be given back meanwhile
            self._record(reservation, upload, described["build"]["extra"])
        self.log.line(f"recorded as build {reservation.build_id}")
        self.after("imported")

    def _upload(self, path: Path, upload: str) -> None:
        self.generator.uploadWrapper(str(path), upload, overwrite=True)

    def _record(self, reservation: Reservation, upload: str, extra: Mapping[str, Any]) -> None:
        try:
            self.generator.CGImport("metadata.json", upload, reservation.token)
        except koji.GenericError:
            # The answer may have been lost, and koji's client has asked again: what counts is what the hub has. That
            # may be another's build: the hub gives the id again when a reservation was canceled.
            build = self.generator.getBuild(reservation.build_id)
            if build["state"] != koji.BUILD_STATES["COMPLETE"] or _identity(build["extra"]) != _identity(extra):
                raise


def _identity(extra: Mapping[str, Any] | None) -> tuple[Any, Any]:
    """What no two runs of builds or imports have in common: the task, and its lists with the tag of their own."""
    recorded = extra or {}
    return recorded.get("container_koji_task_id"), image_of({"extra": recorded}).get("index")
