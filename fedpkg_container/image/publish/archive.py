"""The files of an arch that Koji keeps: the image as a docker-archive, its log, and its Dockerfile as it was built."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedpkg_container.engines.buildah import Buildah
from fedpkg_container.errors import BuildFailedError, ProgramError
from fedpkg_container.image.building.log import BuildLog
from fedpkg_container.model.build import BuildSpec
from fedpkg_container.model.nvr import legal_tag
from fedpkg_container.model.reference import ImageReference

#: Sends a file to the hub: path, folder below the import's.
Upload = Callable[[Path, str], None]
#: Uploads the files; what metadata says of them.
UploadFiles = Callable[[], list[dict[str, Any]]]


@dataclass(frozen=True)
class ArchFiles:
    """Keeps the files of one arch.

    :param build_dir: for files of this build, its Dockerfile among them
    """

    spec: BuildSpec
    engine: Buildah
    build_dir: Path
    log: BuildLog
    upload: Upload

    @contextlib.contextmanager
    def of(self, image_id: str) -> Iterator[UploadFiles]:
        """Save an image while other things are done.

        :returns: a function that waits until it is saved, and uploads it with the other files
        """
        spec = self.spec
        if not spec.upload:
            yield list
            return
        archive = self.build_dir / f"{spec.nvr}.{spec.arch}.tar.gz"
        self.log.report(f"saving {archive.name}")
        name = ImageReference("", spec.image, tag=legal_tag(f"{spec.version}-{spec.release}"))
        with self.engine.saved(image_id, name, archive) as wait:
            yield lambda: self._upload_files(archive, wait)

    def _upload_files(self, archive: Path, wait: Callable[[], None]) -> list[dict[str, Any]]:
        try:
            wait()
        except ProgramError as error:
            raise BuildFailedError(f"{archive.name} could not be saved: {error.reason}") from error
        self.log.report(f"uploading {archive.name}")
        log, dockerfile = self.build_dir / f"{self.spec.arch}.log", self.build_dir / f"{self.spec.arch}.Dockerfile"
        shutil.copyfile(self.log.path, log)
        shutil.copyfile(self.build_dir / "Dockerfile", dockerfile)  # as buildah got it
        metadata = []
        for path, file_type in ((archive, "docker-image"), (log, "log"), (dockerfile, "log")):
            # A folder of its own, which nobody knows before: the hub gives it to this builder, which comes first.
            relpath = f"{self.spec.arch}-{uuid.uuid4().hex[:12]}"
            self.upload(path, relpath)
            metadata.append(file_metadata(path, file_type, relpath=relpath))
        return metadata


def file_metadata(path: Path, file_type: str, *, relpath: str) -> dict[str, Any]:
    """A file as content-generator metadata names it."""
    checksum = hashlib.sha256()
    with path.open("rb") as file:
        for chunk in iter(lambda: file.read(1 << 20), b""):
            checksum.update(chunk)
    return {
        "filename": path.name,
        "relpath": relpath,
        "filesize": path.stat().st_size,
        "checksum": checksum.hexdigest(),
        "checksum_type": "sha256",
        "type": file_type,
    }
