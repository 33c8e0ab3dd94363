# SPDX-License-Identifier: GPL-2.0-or-later
"""Base images: fetched once for all builds of a builder, each in a separate store, removed when no build uses them.

The task fetches an image with the registry client (``registry.fetch``) and a worker unpacks it, without network and
credentials. The workers of builds see the store read-only. An incomplete image is in a separate directory, and is
deleted with it.

Each requested image has a record; the record's mtime is the time of its last use. The pulling process holds the
record's lock, so that only processes that request the same image wait. A build notes records in its own directory
before it reads them: those noted by a running build are kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

from fedpkg_container import locking
from fedpkg_container.engines import cgroups, storage
from fedpkg_container.engines.base_image import CONTENT, BaseImage, check_layers
from fedpkg_container.engines.sandbox import Sandbox, Store
from fedpkg_container.engines.workspace import Workspace, Workspaces, remove
from fedpkg_container.errors import BuildFailedError, FedpkgContainerError, ProgramError, RegistryError
from fedpkg_container.locking import locked
from fedpkg_container.model.limits import Deadline
from fedpkg_container.model.platforms import Platform
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.process import run
from fedpkg_container.registry.errors import CONTACT_ADMINISTRATORS
from fedpkg_container.registry.fetch import FetchLimits, fetch_image
from fedpkg_container.registry.manifests import Manifest
from fedpkg_container.registry.skopeo import Access, Registry

_log = logging.getLogger(__name__)

#: Interval of pruning, seconds.
PRUNE_INTERVAL = 3600.0
#: Default size limit of an unpacked base image, bytes.
MAX_BYTES = 10 * 10**9
#: File limit of an unpacked image.
MOST_FILES = 1_000_000
_DAY = 24 * 3600.0
#: Description in an image's directory, written last.
_DESCRIPTION = "image.json"
#: Name prefix of the directories of incomplete images.
_INCOMING = "incoming-"


class BaseImages:
    """The base images of a builder, as used by one build.

    :param workspace: the build's
    :param access: registry access settings
    :param max_bytes: size limit of an unpacked image, bytes
    """

    def __init__(
        self, workspaces: Workspaces, workspace: Workspace, *, access: Access, max_bytes: int = MAX_BYTES
    ) -> None:
        self._workspaces = workspaces
        self._records = workspaces.shared / "records"
        self._images = workspaces.shared / "images"
        self._notes = workspace.directory / "base-images"
        self._access = access
        self._max_bytes = max_bytes
        self.used: dict[str, BaseImage] = {}
        for path in (self._records, self._images, self._notes):
            path.mkdir(exist_ok=True)

    @property
    def stores(self) -> list[Store]:
        """The stores of the images that this build uses."""
        return [Store(each.graph, self._workspaces.ids.base) for each in self.used.values()]

    def pull(
        self,
        image: ImageReference,
        platform: Platform,
        *,
        newer: bool = False,
        deadline: Deadline | None = None,
        tick: Callable[[], None] = lambda: None,
    ) -> BaseImage:
        """Return a base image; fetch it unless it is on this builder.

        :param newer: whether to resolve the name at the registry again
        :param deadline: of everything before RUN; None: the time limit of a single image applies
        :param tick: called before an image is fetched, and every second meanwhile
        :raises RegistryError: if it does not exist, or the registry is unreachable
        :raises BuildFailedError: if it is too large, or the deadline has passed
        """

        def look() -> None:
            if deadline:
                deadline.check()
            tick()

        record = self._record(f"{image} {platform}")
        # Another build may be fetching it, possibly after a failed attempt.
        timeout = max(locking.TIMEOUT, 2 * self._access.timeout)
        known = None
        if not newer:
            with locked(record, wait=True, shared=True, timeout=timeout, tick=look) as file:
                known = self._known(file)
        if known is None:
            with locked(record, wait=True, timeout=timeout, tick=look) as file:
                try:
                    known = (None if newer else self._known(file)) or self._fetch(image, platform, deadline, look)
                except FedpkgContainerError:
                    record.unlink()
                    raise
                _write(file, known)
            _log.info("base image %s pulled as %s", image, known.name)
        else:
            _log.info("base image %s cached as %s", image, known.name)
        self.used[known.name] = known
        return known

    def load(self, image: ImageReference, content: Path) -> BaseImage:
        """Load an image from a directory in skopeo's ``dir:`` format.

        :param image: its name in that directory
        """
        manifest = Manifest.read((content / "manifest.json").read_bytes())
        name = image.at(manifest.digest)
        with locked(self._record(str(name)), wait=True) as file:
            base = self._known(file)
            if base is None:
                with self._incoming() as incoming:
                    content.rename(incoming.directory / CONTENT)
                    base = self._unpack(incoming, name, manifest, lambda: None)
            _write(file, base)
        self.used[base.name] = base
        return base

    def _fetch(
        self, image: ImageReference, platform: Platform, deadline: Deadline | None, tick: Callable[[], None]
    ) -> BaseImage:
        tick()
        fetch_deadline = Deadline(f"fetching {image}", self._access.timeout, CONTACT_ADMINISTRATORS, RegistryError)
        deadline = deadline.within(fetch_deadline) if deadline else fetch_deadline
        registry = Registry(replace(self._access.without_retries(), deadline=deadline))
        exact = image.at(registry.manifest(image).digest_for(platform))
        with self._names():
            directory = self._directory(exact)
            if known := self._at(directory):
                os.utime(directory)  # in use, not yet recorded
                _log.info("base image %s is already unpacked", exact)
                return known
        limits = FetchLimits(self._max_bytes)
        with self._incoming() as incoming, registry.repository(exact) as repository:
            content = incoming.directory / CONTENT
            manifest = fetch_image(
                repository,
                exact.digest,
                content,
                limits=limits,
                deadline=deadline,
                cache=self._access.blob_cache,
                tick=tick,
            )
            return self._unpack(incoming, exact, manifest, self._within(incoming.directory, deadline, tick))

    def _within(self, incoming: Path, deadline: Deadline, tick: Callable[[], None]) -> Callable[[], None]:
        """Return a check of the limits of unpacking."""

        def check() -> None:
            tick()
            deadline.check()
            if storage.size_of(incoming) > self._max_bytes:
                raise BuildFailedError(
                    f"the base image is larger than {self._max_bytes // 10**6} MB",
                    solution="use a smaller base image; the limit is the site's (base_image_size)",
                )
            if storage.files_of(incoming) > MOST_FILES:
                raise BuildFailedError(
                    f"the base image has more than {MOST_FILES} files", solution="use a smaller base image"
                )

        return check

    @contextlib.contextmanager
    def _incoming(self) -> Iterator[Workspace]:
        """Make a directory for an incomplete image; remove it on failure."""
        path = self._images / f"{_INCOMING}{os.getpid()}-{time.monotonic_ns()}"
        with contextlib.ExitStack() as stack:
            with self._nobody_else_begins():
                self._remove_incomplete()
                path.mkdir(mode=0o700)
                stack.enter_context(locked(path / "lock", wait=True))
            limits = self._workspaces.limits
            try:
                groups = cgroups.create(path, memory=limits.memory, processes=limits.processes)
                yield Workspace(path, self._workspaces.ids.base, groups)
            finally:
                if path.exists():
                    remove(path)
                cgroups.remove(path)  # named after the directory before it was renamed

    def _nobody_else_begins(self) -> contextlib.AbstractContextManager[IO[str]]:
        """Lock: until it is locked itself, a new directory looks abandoned."""
        return locked(self._images / "incoming.lock", wait=True)

    def _remove_incomplete(self) -> None:
        """Remove the remains of killed pulls."""
        for directory in sorted(self._images.glob(f"{_INCOMING}*/")):
            try:
                with locked(directory / "lock", wait=False):
                    remove(directory)
            except (BlockingIOError, FileNotFoundError):
                continue
            except (FedpkgContainerError, OSError) as error:
                _log.warning("%s could not be removed: %s", directory, error)

    def _unpack(
        self, workspace: Workspace, name: ImageReference, manifest: Manifest, tick: Callable[[], None]
    ) -> BaseImage:
        """Unpack an image in a worker, and rename its directory."""
        incoming = workspace.directory
        workspace.prepare()
        environment = storage.configure(workspace, [])
        sandbox = Sandbox(
            workspace, [incoming / CONTENT, *map(Path, [environment[storage.VARIABLE]])], environment=environment
        )
        copy = ["skopeo", "copy", "--quiet", f"dir:{incoming / CONTENT}", f"containers-storage:{name}"]
        try:
            command = ["unshare", "--net", "--", *sandbox.command(copy)]
            run(command, env=environment, timeout=self._access.timeout, tick=tick)
            tick()  # catch a fast unpack
        except ProgramError as error:
            raise RegistryError(f"{name} cannot be unpacked: {error.reason}") from error
        check_layers(BaseImage("", str(name), incoming), workspace)
        image_id = manifest.blobs[0].digest.partition(":")[2]
        described = {"image_id": image_id, "name": str(name)}
        (incoming / _DESCRIPTION).write_text(json.dumps(described))
        directory = self._directory(name)
        with self._names():
            known = self._at(directory)
            if known is None:
                incoming.rename(directory)
                known = BaseImage(image_id, str(name), directory)
        return known

    def _names(self) -> contextlib.AbstractContextManager[IO[str]]:
        """Lock image directories against renaming and removal by other processes."""
        return locked(self._images / "names.lock", wait=True)

    def _directory(self, name: ImageReference) -> Path:
        return self._images / hashlib.sha256(str(name).encode()).hexdigest()

    @staticmethod
    def _at(directory: Path) -> BaseImage | None:
        """Return the image in a directory; None if there is none."""
        try:
            described = json.loads((directory / _DESCRIPTION).read_text())
            return BaseImage(described["image_id"], described["name"], directory)
        except (OSError, ValueError, LookupError, TypeError):
            return None

    def _record(self, wanted: str) -> Path:
        """The record of an image, noted as used by this build."""
        name = hashlib.sha256(wanted.encode()).hexdigest()
        (self._notes / name).touch()
        return self._records / name

    def _known(self, record: IO[str]) -> BaseImage | None:
        """Return the image of a locked record, if it is on this builder; mark it as used."""
        directory = _read(record)
        image = self._at(self._images / directory) if directory else None
        if image is not None:
            os.utime(record.fileno())
        return image

    def prune(self, days: int) -> list[str]:
        """Remove images not used for some days, at most once an hour; return their IDs.

        :param days: 0 keeps all
        """
        last = self._records.with_name("pruned")
        if not days or (last.exists() and time.time() - last.stat().st_mtime < PRUNE_INTERVAL):
            return []
        last.touch()
        before = time.time() - days * _DAY
        removed: list[str] = []
        with self._nobody_else_begins():
            self._remove_incomplete()
        for directory in sorted(self._images.iterdir()):
            if (base := self._at(directory)) and self._remove(directory, before):
                removed.append(base.image_id)
        return removed

    def _of(self, directory: Path) -> list[Path]:
        """The records of an image."""
        images = []
        for path in sorted(self._records.iterdir()):
            with contextlib.suppress(FileNotFoundError), path.open() as file:
                if _read(file) == directory.name:
                    images.append(path)
        return images

    def _remove(self, directory: Path, before: float) -> bool:
        """Remove an unused image; return whether it was."""
        records = self._of(directory)
        removed = self._images / f"{_INCOMING}removed-{directory.name}"
        with contextlib.ExitStack() as stack:
            try:
                for path in records:
                    stack.enter_context(locked(path, wait=False))
            except BlockingIOError:
                return False
            with self._names():
                used = {path.name for path in self._workspaces.builds.glob("*/base-images/*")}
                last = max(path.stat().st_mtime for path in [directory, *records])
                if last > before or any(path.name in used for path in records):
                    return False
                directory.rename(removed)
                _log.info("removing base image %s, unused since %.0f days", directory.name, (time.time() - last) / _DAY)
            for path in records:
                path.unlink()
        try:
            remove(removed)
        except (FedpkgContainerError, OSError) as error:  # retried before the next image is fetched
            _log.warning("base image %s could not be removed: %s", removed, error)
        return True


def _read(file: IO[str]) -> str:
    """Return the directory in a record; empty if the pull was never completed."""
    file.seek(0)
    try:
        name = json.loads(file.read())["directory"]
    except (ValueError, TypeError, LookupError):
        return ""
    return name if isinstance(name, str) and name.isalnum() else ""


def _write(file: IO[str], base: BaseImage) -> None:
    """Complete a record locked by the caller."""
    file.seek(0)
    file.truncate()
    json.dump({"directory": base.directory.name}, file)
    file.flush()
