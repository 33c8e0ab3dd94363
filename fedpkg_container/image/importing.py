"""The import of a build into Koji by a content generator, with its log and everything that is kept with it."""

from __future__ import annotations

import json
import uuid
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
from fedpkg_container.model.koji_images import image_of
from fedpkg_container.signals import uninterrupted

#: What the hub is told of a build, as a file in the folder of its import.
_METADATA = "metadata.json"


def upload_folder(session: Any, name: str) -> str:
    """A new folder on the hub for the files of an import, in which nobody but this account can write files.

    The hub gives a folder to who uploads there first, and its name does not stay unknown: it is in the arguments of
    tasks. So a file goes there at once, under the one name that is known before: anybody may make folders in it, and
    where one is, no file of that name can be uploaded. All other files get new folders of their own.

    :param session: of the account that imports
    :param name: what imports
    """
    folder = f"container-build/{name}-{uuid.uuid4().hex}"
    session.rawUpload(b"{}", 0, folder, _METADATA, overwrite=True)
    return folder


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

        :param upload: folder on the hub, of ``upload_folder``, below which the files of the images are
        :param documents: files that are kept with the build
        """
        self.log.say(f"importing {reservation.nvr}")
        logs = [self._kept(self.log.path, upload)]
        for document in documents:
            arch = {"arch": document.arch} if document.arch else {}
            logs.append({**self._kept(document.path, upload), **arch})
        described = metadata(provenance, published, images, logs, reservation.build_id)
        path = self.log.path.parent / _METADATA
        path.write_text(json.dumps(described, indent=1))
        self._upload(path, upload)
        self.after("uploaded")
        with uninterrupted():  # the hub would go on, and what it imports must not be given back meanwhile
            self._record(reservation, upload, described["build"]["extra"])
        self.log.line(f"recorded as build {reservation.build_id}")
        self.after("imported")

    def _kept(self, path: Path, upload: str) -> dict[str, Any]:
        """Upload a file; what metadata says of it."""
        below = uuid.uuid4().hex
        self._upload(path, f"{upload}/{below}")
        return described_file(path, "log", relpath=below)

    def _upload(self, path: Path, folder: str) -> None:
        self.generator.uploadWrapper(str(path), folder, overwrite=True)

    def _record(self, reservation: Reservation, upload: str, extra: Mapping[str, Any]) -> None:
        try:
            self.generator.CGImport(_METADATA, upload, reservation.token)
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
