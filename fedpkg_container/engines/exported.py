# SPDX-License-Identifier: GPL-2.0-or-later
"""Images that a worker exports, and that this process reads while the worker runs."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedpkg_container.engines.inside.export import ARCHIVE, EXPORTED
from fedpkg_container.engines.opening import open_plain
from fedpkg_container.errors import ProgramError, ProgramTimeoutError, RegistryError
from fedpkg_container.registry.manifests import MAX_CONFIG_SIZE, MAX_MANIFEST_SIZE, Descriptor, Manifest
from fedpkg_container.text import printable

#: Timeout of an export, seconds.
EXPORT_TIMEOUT = 1800.0
#: Poll interval for a worker's results, seconds.
_POLL_INTERVAL = 0.01
#: Chunk size for copying, and maximum log excerpt, bytes.
_CHUNK, _LOG_EXCERPT = 16 << 20, 4000


@dataclass(frozen=True)
class Exported:
    """An image that a worker exported for a registry.

    :param manifests: format → manifest
    :param directory: of its blobs, which the worker owns
    :param work: the worker's directory that contains it
    """

    manifests: Mapping[str, Manifest]
    directory: Path
    work: Path

    def chunks(self, blob: Descriptor) -> Iterator[bytes]:
        """Yield the contents of a blob.

        :raises OSError: if it does not exist
        """
        with open_plain(self.directory / blob.digest.partition(":")[2], self.work) as file:
            while chunk := file.read(1 << 20):
                yield chunk

    def configuration(self, kind: str) -> dict[str, Any]:
        """Return the image configuration of a format.

        :raises OSError: if it does not exist
        :raises RegistryError: if it is too long, or not an image configuration
        """
        config = next(iter(self.manifests[kind].blobs), None)
        if config is None:
            raise RegistryError("the exported image has no configuration")
        with open_plain(self.directory / config.digest.partition(":")[2], self.work) as file:
            content = file.read(MAX_CONFIG_SIZE + 1)
        if len(content) > MAX_CONFIG_SIZE:
            raise RegistryError(f"the configuration of the exported image is longer than {MAX_CONFIG_SIZE} bytes")
        try:
            configuration = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise RegistryError(f"the configuration of the exported image is not JSON: {error}") from error
        if not isinstance(configuration, dict) or not isinstance(configuration.get("config") or {}, dict):
            raise RegistryError("the configuration of the exported image is not one of an image")
        return configuration


class Exporting:
    """An image export by a running worker.

    :param program: the worker
    :param log: its output
    :param target: directory that it owns, for blobs, manifests and the archive
    :param work: the worker's directory that contains ``target``
    :param kinds: image formats
    :param tick: called every second while this process waits or copies; exceptions end the wait
    """

    def __init__(
        self,
        program: subprocess.Popen[bytes],
        log: Path,
        target: Path,
        *,
        work: Path,
        kinds: Sequence[str],
        tick: Callable[[], None],
    ) -> None:
        self._program, self._log, self._target, self._work, self.kinds = program, log, target, work, kinds
        self._tick = tick
        self._exported: Exported | None = None

    def wait(self) -> Exported:
        """Wait until manifests and blobs are complete.

        :raises ProgramError: if it cannot be exported
        :raises RegistryError: if the result is not an image
        """
        if self._exported is None:
            self._wait_for(lambda: os.path.lexists(self._target / EXPORTED))
            manifests = {}
            for kind in self.kinds:
                with open_plain(self._target / f"{kind}.json", self._work) as file:
                    manifests[kind] = Manifest.read(file.read(MAX_MANIFEST_SIZE + 1), where=kind)
            self._exported = Exported(manifests, self._target, self._work)
        return self._exported

    def save(self, target: Path) -> None:
        """Wait until the archive is complete, and copy it to a file.

        :raises ProgramError: if it cannot be exported
        """
        self._wait_for(lambda: False)
        with open_plain(self._target / ARCHIVE, self._work) as source, target.open("wb") as file:
            while _copy_part(source.fileno(), file.fileno()):
                self._tick()  # the worker's file may be large and sparse

    def _wait_for(self, is_there: Callable[[], bool]) -> None:
        """Wait for a file, or for the successful end of the worker.

        :raises ProgramError: if it failed or timed out
        """
        ticked = time.monotonic()
        deadline = ticked + EXPORT_TIMEOUT
        while self._program.poll() is None and not is_there():
            if time.monotonic() > deadline:
                raise ProgramTimeoutError(f"the image was not exported within {EXPORT_TIMEOUT:g} s")
            if time.monotonic() - ticked > 1:
                ticked = time.monotonic()
                self._tick()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._program.wait(timeout=_POLL_INTERVAL)
        if self._program.returncode:
            raise ProgramError("export", self._program.returncode, printable(_end_of(self._log)))


def _copy_part(source: int, target: int) -> int:
    """Copy the next part of a file, without loading it if possible; return its size, 0 at the end.

    copy_file_range(2) is not used: it may share holes, so that a file of any size would need no space.

    :param source: descriptor, as ``target``
    """
    try:
        return os.sendfile(target, source, None, _CHUNK)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS):  # not possible in one of the file systems
            raise
    part = os.read(source, _CHUNK)
    rest = memoryview(part)
    while rest:
        rest = rest[os.write(target, rest) :]
    return len(part)


def _end_of(log: Path) -> str:
    """Return the last characters of a log of any size that a worker writes."""
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _LOG_EXCERPT))
        return file.read(_LOG_EXCERPT).decode(errors="replace")
