"""Fetching a blob into a file, or a whole image into a directory as skopeo's and buildah's ``dir:`` has it."""

from __future__ import annotations

import concurrent.futures
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from fedpkg_container.errors import RegistryError, WrongContentError
from fedpkg_container.model.limits import Deadline
from fedpkg_container.registry.digests import hashed
from fedpkg_container.registry.manifests import LONGEST_CONFIGURATION, Descriptor, Manifest
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.response import Stream

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


Result = TypeVar("Result")

#: The content of the file by which the transport knows its directories (containers/image, directory_dest.go).
_VERSION = "Directory Transport Version: 1.1\n"
#: Blobs that are fetched at the same time.
PARALLEL = 4
#: Seconds between two calls of ``tick``.
INTERVAL = 1.0
#: Seconds for which transfers that were broken off are waited for.
LEAVE = 5.0
#: Most layers of an image; overlay allows fewer.
MOST_LAYERS = 1000


@dataclass(frozen=True)
class FetchLimits:
    """How large an image may be.

    :param size: bytes of configuration and layers as the registry has them, i.e. compressed
    :param layers: how many layers it may have
    """

    size: int
    layers: int = MOST_LAYERS


def fetch_image(
    source: Repository,
    digest: str,
    directory: Path,
    *,
    limits: FetchLimits,
    deadline: Deadline,
    tick: Callable[[], None] = lambda: None,
) -> Manifest:
    """Fetch one image, not a list, into a new directory; everything in it is verified by digest.

    :param source: the repository; after an error its ``http`` may have been abandoned
    :param digest: of the manifest
    :param directory: must not exist; the caller decides who can read it, by its parent
    :param tick: called before the first request and about every second; what it raises ends the transfer
    :returns: the manifest
    :raises WrongContentError: content is not what its digest says
    :raises RegistryError: the image is not there, too large, or the registry cannot be reached
    :raises BuildFailedError: the deadline has passed (or another kind, as the deadline says)
    :raises OSError: a file cannot be written; the directory is removed after any error
    """
    tick()
    directory.mkdir()
    try:
        (manifest,) = _run(source, [lambda: _manifest(source, digest, limits)], deadline, tick)
        (directory / "version").write_text(_VERSION)
        (directory / "manifest.json").write_bytes(manifest.raw)
        unique = {each.digest: each for each in manifest.blobs}
        _run(source, [_transfer(source, each, directory) for each in unique.values()], deadline, tick)
    except BaseException:
        shutil.rmtree(directory)
        raise
    return manifest


def _manifest(source: Repository, digest: str, limits: FetchLimits) -> Manifest:
    """Return the manifest of an image within the limits."""
    where = source.reference.at(digest)
    manifest = source.manifest(digest)
    if manifest.is_list:
        raise RegistryError(f"{where} is a list of images, not an image")
    config, *layers = manifest.blobs
    if len(layers) > limits.layers:
        raise RegistryError(f"{where} has {len(layers)} layers, more than {limits.layers}")
    if config.size > LONGEST_CONFIGURATION:
        raise RegistryError(f"the configuration of {where} is longer than {LONGEST_CONFIGURATION} bytes")
    sizes: dict[str, int] = {}
    for each in manifest.blobs:
        if each.is_foreign or each.facts.get("urls"):
            raise RegistryError(
                f"{where} has a layer that is kept outside of its registry: {each.digest}",
                solution="use another base image: layers are fetched from the image's own registry alone",
            )
        if each.is_manifest or not each.digest.startswith("sha256:"):
            raise RegistryError(f"{where} refers to a blob that builders do not fetch: {each.digest[:100]}")
        if sizes.setdefault(each.digest, each.size) != each.size:
            raise WrongContentError(f"the manifest of {where} gives two sizes for {each.digest}")
    if sum(sizes.values()) > limits.size:
        raise RegistryError(
            f"{where} is larger than {limits.size} bytes: {sum(sizes.values())}",
            solution="use a smaller base image; the limit is the site's",
        )
    return manifest


def _transfer(source: Repository, blob: Descriptor, directory: Path) -> Callable[[], None]:
    def received(_: int) -> None:
        if source.http.is_abandoned:
            raise RegistryError(f"{source.reference}: the transfer was ended")

    path = directory / blob.digest.partition(":")[2]
    return lambda: receive_blob(source, blob.digest, blob.size, path, received=received, resumed=received)


def _run(
    source: Repository, jobs: Iterable[Callable[[], Result]], deadline: Deadline, tick: Callable[[], None]
) -> list[Result]:
    """Do jobs at the same time; their results. The first error ends all of them."""
    pool = concurrent.futures.ThreadPoolExecutor(PARALLEL)
    futures = [pool.submit(each) for each in jobs]
    try:
        pending = set(futures)
        while pending:
            done, pending = concurrent.futures.wait(
                pending,
                timeout=min(INTERVAL, deadline.remaining),
                return_when=concurrent.futures.FIRST_EXCEPTION,
            )
            for each in done:
                each.result()
            if pending:
                deadline.check()
                tick()
    except BaseException:
        if any(not each.cancel() and not each.done() for each in futures):
            source.http.abandon()
            concurrent.futures.wait(futures, timeout=LEAVE)
        raise
    finally:
        pool.shutdown(wait=False)
    return [each.result() for each in futures]
