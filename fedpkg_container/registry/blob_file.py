"""One blob of a repository in a file: continued where an earlier attempt ended, and hashed while it arrives."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from fedpkg_container.errors import WrongContentError
from fedpkg_container.registry.answers import Stream
from fedpkg_container.registry.digests import hashed
from fedpkg_container.registry.repository import Repository

_CONTENT_RANGE = re.compile(r"bytes (?P<first>[0-9]+)-[0-9]+/(?:[0-9]+|\*)")


def receive_blob(
    source: Repository,
    digest: str,
    size: int,
    path: Path,
    *,
    received: Callable[[int], None] = lambda _: None,
    resumed: Callable[[int], None] = lambda _: None,
) -> None:
    """Fetch a blob into a file; what the file holds already is continued, and wrong content requested once more.

    Failures of a moment are retried as those of single requests.

    :param size: bytes that the blob must have
    :param received: called with the number of bytes of each part, before it is written; may raise to end the transfer
    :param resumed: called with the number of bytes that the file holds at the beginning of an attempt
    :raises WrongContentError: wrong content came twice; the file is removed
    :raises RegistryError: the blob is not there, or cannot be fetched; the file is left for the next attempt
    :raises OSError: it cannot be written
    """

    def attempt() -> None:
        _receive(source, digest, size, path, received, resumed)

    try:
        source.http.again(attempt)
        return
    except WrongContentError:
        path.unlink(missing_ok=True)
    try:
        source.http.again(attempt)
    except WrongContentError as error:
        path.unlink(missing_ok=True)
        raise WrongContentError(
            f"{source.reference}: {error.reason}", solution="see what is wrong with the registry's storage"
        ) from error


def _receive(
    source: Repository,
    digest: str,
    size: int,
    path: Path,
    received: Callable[[int], None],
    resumed: Callable[[int], None],
) -> None:
    offset = path.stat().st_size if path.exists() else 0
    if offset and offset >= size:  # an earlier run ended before the file got its place
        for _ in hashed(_content(path, offset), digest, size):
            received(0)
        return
    with source.open_blob(digest, offset=offset) as stream:
        offset = _begin(stream, offset)
        told = stream.headers.get("Content-Length", "")
        if told.isdecimal() and offset + int(told) != size:
            raise WrongContentError(f"{digest} has {offset + int(told)} bytes, its manifest says {size}")
        resumed(offset)
        with path.open("r+b" if offset else "wb") as file:
            file.seek(offset)
            for chunk in hashed(stream.chunks, digest, size, begun=_content(path, offset)):
                received(len(chunk))
                file.write(chunk)


def _begin(stream: Stream, offset: int) -> int:
    """Return where the content begins: a registry may send all of it though the rest was requested."""
    if stream.status != 206:
        return 0
    found = _CONTENT_RANGE.fullmatch(stream.headers.get("Content-Range", ""))
    if found is None or int(found["first"]) != offset:
        raise WrongContentError("another part came than was asked for")
    return offset


def _content(path: Path, size: int) -> Iterator[bytes]:
    """Yield the first ``size`` bytes of a file."""
    if not size:
        return
    with path.open("rb") as file:
        while size and (chunk := file.read(min(size, 1 << 20))):
            size -= len(chunk)
            yield chunk
