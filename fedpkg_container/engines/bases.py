"""Base images: in one store that all builds of a builder read, pulled once, removed when nobody uses them any more.

There is a record for each image that was asked for, with the time of its last use as its own. Who pulls holds the
record's lock, so that others who want the same image wait, and those who want another one do not. A build notes the
records that it uses in its own folder before it looks at them: what a build that lives has noted is not removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO

from fedpkg_container.engines.workspace import LOCK_TIMEOUT, Workspaces, locked
from fedpkg_container.errors import ProgramError, ProgramTimeoutError, RegistryError
from fedpkg_container.model.arches import Platform
from fedpkg_container.model.deadline import Deadline
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.process import run
from fedpkg_container.registry.fetch import FetchLimits, fetch_image
from fedpkg_container.registry.registry import TELL, Access, Registry

logger = logging.getLogger(__name__)

#: Seconds for bringing one image that is on this machine into the store, and for listing or removing.
LOAD_TIMEOUT = 1800.0
STORE_TIMEOUT = 120.0
#: Seconds between two looks for images that nobody uses.
PRUNE_INTERVAL = 3600.0
_DAY = 24 * 3600.0
#: How large an image may be in its registry, where nobody says otherwise.
LIMITS = FetchLimits(10 * 10**9)
#: containers-policy.json(5): what is loaded was fetched, and its digests were compared, by this program.
_POLICY = '{"default": [{"type": "insecureAcceptAnything"}]}'


@dataclass(frozen=True)
class BaseImage:
    """A base image in the shared store.

    :param image_id: without ``sha256:``
    :param name: what FROM has to say to get it: the image of one arch by its own digest. All images of a list share
        the list's name, and a store gives it to the one that came last.
    """

    image_id: str
    name: str


class BaseImages:
    """The shared store, as one build uses it.

    :param folder: the build's folder
    :param environment: what makes buildah use the shared store
    :param access: how registries are reached
    """

    def __init__(self, workspaces: Workspaces, folder: Path, environment: Mapping[str, str], *, access: Access) -> None:
        self._builds = workspaces.builds
        self._images = workspaces.shared / "graph" / "overlay-images"
        self._records = workspaces.shared / "records"
        self._notes = folder / "base-images"
        self._environment = environment
        self._access = access
        for path in (self._records, self._notes):
            path.mkdir(exist_ok=True)
        if not self._images.exists():
            with locked(workspaces.shared / "make.lock", wait=True):
                self._buildah("images")  # makes an empty store

    def pull(
        self,
        image: ImageReference,
        platform: Platform,
        *,
        newer: bool = False,
        tick: Callable[[], None] = lambda: None,
        deadline: Deadline | None = None,
        limits: FetchLimits = LIMITS,
    ) -> BaseImage:
        """Bring a base image into the store, unless it is there.

        :param newer: ask the registry whether it has another one under this name by now
        :param tick: called before an image is pulled, and about every second meanwhile
        :param deadline: of everything that precedes RUN; None: the time that one image may take alone counts
        :raises RegistryError: it is not there, is too large, or the registry cannot be reached
        :raises BuildFailedError: the deadline has passed
        """

        def look() -> None:
            if deadline:
                deadline.check()
            tick()

        record = self._record(f"{image} {platform}")
        # Another build may be pulling it, with an attempt that is lost before the one that works.
        timeout = max(LOCK_TIMEOUT, 2 * self._access.timeout)
        if not newer:
            with locked(record, wait=True, shared=True, timeout=timeout, tick=look) as file:
                known = self._known(file)
            if known:
                return known
        with locked(record, wait=True, timeout=timeout, tick=look) as file:
            try:
                base = (None if newer else self._known(file)) or self._pull(image, platform, look, deadline, limits)
            except RegistryError:
                record.unlink()
                raise
            _write(file, base)
        return base

    def _pull(
        self,
        image: ImageReference,
        platform: Platform,
        tick: Callable[[], None],
        deadline: Deadline | None,
        limits: FetchLimits,
    ) -> BaseImage:
        tick()
        own = Deadline(f"fetching {image}", self._access.timeout, TELL, RegistryError)
        deadline = deadline.within(own) if deadline else own
        registry = Registry(replace(self._access.impatient(), deadline=deadline))
        exact = image.at(registry.manifest(image).digest_for(platform))
        directory = self._notes.with_name(f"fetched-{exact.digest.partition(':')[2]}")
        with registry.repository(exact) as source:
            manifest = fetch_image(source, exact.digest, directory, limits=limits, deadline=deadline, tick=tick)
        try:
            self._load(directory, exact, tick, deadline)
        finally:
            shutil.rmtree(directory, ignore_errors=True)
        return BaseImage(manifest.blobs[0].digest.partition(":")[2], str(exact))

    def _load(self, directory: Path, name: ImageReference, tick: Callable[[], None], deadline: Deadline) -> None:
        """Bring an image that was fetched into the store, under the name that it has in its registry."""
        policy = directory.with_suffix(".policy")
        policy.write_text(_POLICY)
        command = [
            "skopeo",
            "--policy",
            str(policy),
            "copy",
            "--quiet",
            f"dir:{directory}",
            f"containers-storage:{name}",
        ]
        try:
            # skopeo leaves a mount of the store's own folder behind, which ends with the namespace.
            run(
                ["unshare", "--mount", "--", *command],
                env=self._environment,
                timeout=min(LOAD_TIMEOUT, deadline.remaining),
                tick=tick,
            )
        except ProgramTimeoutError as error:
            deadline.check()
            raise RegistryError(f"{name} cannot be brought into the store: {error.reason}") from error
        except ProgramError as error:
            last = error.output.strip().splitlines()[-1:] or [error.reason]
            raise RegistryError(f"{name} cannot be brought into the store: {last[0][-500:]}") from error
        finally:
            policy.unlink()

    def load(self, archive: Path) -> str:
        """Bring an image out of a docker-archive into the store; its image ID."""
        image_id = self._buildah("pull", "--quiet", f"docker-archive:{archive}", timeout=LOAD_TIMEOUT).split()[-1]
        with locked(self._record(image_id), wait=True) as file:
            _write(file, BaseImage(image_id, image_id))
        return image_id

    def _record(self, wanted: str) -> Path:
        """The record of an image, noted as used by this build."""
        name = hashlib.sha256(wanted.encode()).hexdigest()
        (self._notes / name).touch()
        return self._records / name

    def _known(self, record: IO[str]) -> BaseImage | None:
        """The image of a record that is locked, if it is in the store; it is used now."""
        base = _read(record)
        if base is None or not (self._images / base.image_id).is_dir():
            return None
        os.utime(record.fileno())
        return base

    def prune(self, days: int) -> list[str]:
        """Remove images that nobody has used for some days; their IDs. Looks once an hour at most.

        :param days: 0 keeps all
        :raises FedpkgContainerError: one could not be removed
        """
        last = self._records.with_name("pruned")
        if not days or (last.exists() and time.time() - last.stat().st_mtime < PRUNE_INTERVAL):
            return []
        last.touch()
        self._adopt()
        before = time.time() - days * _DAY
        return [image for image, records in self._by_image().items() if self._remove(image, records, before)]

    def _adopt(self) -> None:
        """Make records of images that have none."""
        known = self._by_image()
        for image_id in self._buildah("images", "--all", "--quiet", "--no-trunc").split():
            plain = image_id.removeprefix("sha256:")
            if plain not in known:
                with locked(self._records / plain, wait=True) as file:
                    _write(file, BaseImage(plain, plain))

    def _by_image(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = defaultdict(list)
        for path in sorted(self._records.iterdir()):
            with contextlib.suppress(FileNotFoundError), path.open() as file:
                base = _read(file)
                if base:
                    found[base.image_id].append(path)
        return found

    def _remove(self, image_id: str, records: list[Path], before: float) -> bool:
        """Remove an image, unless it is used; whether it was."""
        with contextlib.ExitStack() as stack:
            try:
                for path in records:
                    stack.enter_context(locked(path, wait=False))
            except BlockingIOError:
                return False
            used = {path.name for path in self._builds.glob("*/base-images/*")}
            if any(path.stat().st_mtime > before or path.name in used for path in records):
                return False
            if (self._images / image_id).is_dir():
                try:
                    self._buildah("rmi", "--force", image_id)
                except ProgramError as error:
                    logger.warning("base image %s could not be removed: %s", image_id, error.reason)
                    return False
            for path in records:
                path.unlink()
        return True

    def _buildah(self, *arguments: str, timeout: float = STORE_TIMEOUT, tick: Callable[[], None] | None = None) -> str:
        return run(["buildah", *arguments], env=self._environment, timeout=timeout, tick=tick).text


def _read(file: IO[str]) -> BaseImage | None:
    """What a record says; None when it was never completed."""
    file.seek(0)
    try:
        return BaseImage(**json.loads(file.read()))
    except (ValueError, TypeError):
        return None


def _write(file: IO[str], base: BaseImage) -> None:
    """Complete a record, which is locked."""
    file.seek(0)
    file.truncate()
    json.dump(asdict(base), file)
    file.flush()
