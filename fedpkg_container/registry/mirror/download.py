"""One blob from a registry into a file: gone on with where it ended before, and hashed while it comes."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fedpkg_container.errors import (
    NoSuchImageError,
    WrongContentError,
)
from fedpkg_container.registry.answers import Stream
from fedpkg_container.registry.digests import hashed
from fedpkg_container.registry.http import RegistryHTTP
from fedpkg_container.registry.mirror.crew import StoppedError
from fedpkg_container.registry.mirror.images import Blob
from fedpkg_container.registry.mirror.throttle import Throttle
from fedpkg_container.registry.mirror.tree import sync
from fedpkg_container.registry.repository import Repository

_CONTENT_RANGE = re.compile(r"bytes (?P<first>[0-9]+)-[0-9]+/(?:[0-9]+|\*)")


@dataclass(frozen=True)
class Downloads:
    """Fetches blobs; for several threads, each blob by one of them.

    :param partial: the folder for what has not come whole yet, by digest
    :param stop: set when the run is to end
    :param received: told how many bytes came
    :param resumed: told how many are there from an earlier run
    """

    http: RegistryHTTP
    partial: Path
    throttle: Throttle
    stop: threading.Event
    received: Callable[[int], None]
    resumed: Callable[[int], None]

    def fetch(self, blob: Blob, repositories: Sequence[str]) -> Path:
        """Fetch a blob; the file that holds it, which is whole and on the disk.

        What a broken connection or the end of the program leaves is gone on with. Wrong content is thrown away and
        asked for once more.

        :param repositories: that have it; the next one is asked when one does not
        :raises WrongContentError: wrong content came twice
        :raises RegistryError: it cannot be had
        :raises OSError: it cannot be written
        :raises StoppedError: the run is to end
        """
        for repository in repositories[:-1]:
            try:
                return self._from(blob, repository)
            except NoSuchImageError:
                continue
        return self._from(blob, repositories[-1])

    def _from(self, blob: Blob, repository: str) -> Path:
        source = Repository(self.http, repository)

        def resumed() -> Path:
            return self._receive(blob, source)

        try:
            return self.http.again(resumed)
        except WrongContentError:
            self._file(blob).unlink(missing_ok=True)
        try:
            return self.http.again(resumed)
        except WrongContentError as error:
            self._file(blob).unlink(missing_ok=True)
            raise WrongContentError(
                f"{source.reference}: {error.reason}", solution="see what is wrong with the registry's storage"
            ) from error

    def _file(self, blob: Blob) -> Path:
        return self.partial / blob.digest

    def _receive(self, blob: Blob, source: Repository) -> Path:
        path = self._file(blob)
        offset = path.stat().st_size if path.exists() else 0
        if offset and offset >= blob.size:  # the program ended before it could be moved to its place
            for _ in hashed(_content(path, offset), blob.digest, blob.size):
                self._check()
            sync(path)
            return path
        with source.open_blob(blob.digest, offset=offset) as stream:
            self._write(stream, path, blob, offset)
        return path

    def _write(self, stream: Stream, path: Path, blob: Blob, offset: int) -> None:
        offset = _begin(stream, offset)
        told = stream.headers.get("Content-Length", "")
        if told.isdecimal() and offset + int(told) != blob.size:
            raise WrongContentError(f"{blob.digest} has {offset + int(told)} bytes, its manifest says {blob.size}")
        self.resumed(offset)
        with path.open("r+b" if offset else "wb") as file:
            file.seek(offset)
            for chunk in hashed(stream.chunks, blob.digest, blob.size, begun=_content(path, offset)):
                self._check()
                self.throttle.take(len(chunk), self.stop)
                file.write(chunk)
                self.received(len(chunk))
        sync(path)

    def _check(self) -> None:
        if self.stop.is_set():
            raise StoppedError


def _begin(stream: Stream, offset: int) -> int:
    """Where what comes begins: a registry may send all of it though it was asked for the rest."""
    if stream.status != 206:
        return 0
    found = _CONTENT_RANGE.fullmatch(stream.headers.get("Content-Range", ""))
    if found is None or int(found["first"]) != offset:
        raise WrongContentError("another part came than was asked for")
    return offset


def _content(path: Path, size: int) -> Iterator[bytes]:
    """The beginning of a file; nothing for size 0."""
    if not size:
        return
    with path.open("rb") as file:
        while size and (chunk := file.read(min(size, 1 << 20))):
            size -= len(chunk)
            yield chunk
