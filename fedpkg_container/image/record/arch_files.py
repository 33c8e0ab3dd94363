# SPDX-License-Identifier: GPL-2.0-or-later
"""The files of one architecture that Koji stores: docker-archive of the image, build log and built Dockerfile."""

from __future__ import annotations

import contextlib
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fedpkg_container.engines.buildah import Buildah
from fedpkg_container.errors import BuildFailedError, ProgramError
from fedpkg_container.image.building.log import BuildLog
from fedpkg_container.model.build import BuildSpec
from fedpkg_container.model.koji_types import FileMetadata
from fedpkg_container.model.nvr import sanitize_tag
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.digests import file_digest

#: Uploads a file to the hub: path, directory below that of the import.
Upload = Callable[[Path, str], object]
#: Uploads the files; returns their content-generator metadata.
UploadFiles = Callable[[], list[FileMetadata]]


@dataclass(frozen=True)
class ArchFiles:
    """Saves and uploads the files of one architecture.

    :param build_dir: directory for files of this build, including its Dockerfile
    """

    spec: BuildSpec
    engine: Buildah
    build_dir: Path
    log: BuildLog
    upload: Upload

    @contextlib.contextmanager
    def of(self, image_id: str, formats: Sequence[str]) -> Iterator[UploadFiles]:
        """Export an image for a registry, and save it as an archive, in the background.

        :param formats: formats for the registry
        :returns: a function that waits for the archive and uploads all files
        """
        spec = self.spec
        if not spec.upload_directory:
            with self.engine.exporting(image_id, formats):
                yield list
            return
        archive = self.build_dir / f"{spec.nvr}.{spec.arch}.tar.gz"
        self.log.report(f"saving {archive.name}")
        name = ImageReference("", spec.repository_path, tag=sanitize_tag(f"{spec.version}-{spec.release}"))
        with self.engine.exporting(image_id, formats, archive=name) as exporting:
            yield lambda: self._upload_files(archive, lambda: exporting.save(archive))

    def _upload_files(self, archive: Path, wait: Callable[[], None]) -> list[FileMetadata]:
        try:
            wait()
        except ProgramError as error:
            raise BuildFailedError(f"cannot save {archive.name}: {error.reason}") from error
        dockerfile = self.build_dir / "Dockerfile"  # as passed to buildah
        return upload_build_files(self.spec, self.log, self.upload, archive, dockerfile, self.build_dir)


def upload_build_files(
    spec: BuildSpec, log: BuildLog, upload: Upload, archive: Path, dockerfile: Path, directory: Path
) -> list[FileMetadata]:
    """Upload the files of one architecture; return their content-generator metadata.

    :param archive: docker-archive of the image
    :param directory: for copies of the log and the Dockerfile
    """
    log.report(f"uploading {archive.name}")
    directory.mkdir(exist_ok=True)
    log_copy, dockerfile_copy = directory / f"{spec.arch}.log", directory / f"{spec.arch}.Dockerfile"
    shutil.copyfile(log.path, log_copy)
    shutil.copyfile(dockerfile, dockerfile_copy)
    metadata = []
    for path, file_type in ((archive, "docker-image"), (log_copy, "log"), (dockerfile_copy, "log")):
        # A new directory with an unpredictable name: the hub assigns it to its first user, this builder.
        relpath = f"{spec.arch}-{uuid.uuid4().hex[:12]}"
        upload(path, relpath)
        metadata.append(file_metadata(path, file_type, relpath=relpath))
    return metadata


def file_metadata(path: Path, file_type: str, *, relpath: str) -> FileMetadata:
    """Return the content-generator metadata of a file."""
    return {
        "filename": path.name,
        "relpath": relpath,
        "filesize": path.stat().st_size,
        "checksum": file_digest(path).partition(":")[2],
        "checksum_type": "sha256",
        "type": file_type,
    }
