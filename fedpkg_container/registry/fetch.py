# SPDX-License-Identifier: GPL-2.0-or-later
"""Fetching a blob into a file, or an image into a directory in the ``dir:`` format of skopeo and buildah."""

from __future__ import annotations

import concurrent.futures
import logging
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from fedpkg_container.errors import RegistryError, RegistryUnavailableError, WrongContentError
from fedpkg_container.model.limits import Deadline
from fedpkg_container.registry.digests import verify_chunks
from fedpkg_container.registry.manifests import MAX_CONFIG_SIZE, Descriptor, Manifest
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.response import Stream, content_length

_log = logging.getLogger(__name__)

_CONTENT_RANGE = re.compile(r"bytes (?P<first>[0-9]+)-[0-9]+/(?:[0-9]+|\*)")
Result = TypeVar("Result")
#: Content of the ``version`` file of the ``dir:`` transport (containers/image, directory_dest.go).
_DIR_VERSION = "Directory Transport Version: 1.1\n"
#: Number of concurrent blob transfers.
PARALLEL = 4
#: Seconds between two calls of ``tick``.
TICK_INTERVAL = 1.0
#: Seconds to wait for canceled transfers to end.
CANCEL_TIMEOUT = 5.0
#: Maximum number of layers; overlay allows fewer.
MAX_LAYERS = 1000


def receive_blob(
    source: Repository,
    digest: str,
    size: int,
    path: Path,
    *,
    received: Callable[[int], None] = lambda _: None,
    resumed: Callable[[int], None] = lambda _: None,
) -> None:
    """Fetch a blob into a file, resuming a partial download; retry once after wrong content.

    Temporary failures are retried as for single requests.

    :param size: expected number of bytes
    :param received: called with the number of bytes of each chunk before it is written; may raise to stop the transfer
    :param resumed: called with the number of bytes that the file holds at the start of an attempt
    :raises WrongContentError: if wrong content was received twice; the file is removed
    :raises RegistryError: if the blob does not exist or cannot be fetched; the file is kept for the next attempt
    :raises OSError: if it cannot be written
    """

    def attempt() -> None:
        _receive(source, digest, size, path, received, resumed)

    try:
        source.http.retry(attempt)
        return
    except WrongContentError:
        path.unlink(missing_ok=True)
    try:
        source.http.retry(attempt)
    except WrongContentError as error:
        path.unlink(missing_ok=True)
        raise WrongContentError(
            f"{source.reference}: {error.reason}", solution="check the registry's storage"
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
    if offset and offset >= size:  # an earlier run was stopped before it moved the complete file
        for _ in verify_chunks(_read_prefix(path, offset), digest, size):
            received(0)
        return
    with source.open_blob(digest, offset=offset) as stream:
        offset = _start_offset(stream, offset)
        length = content_length(stream.headers)
        if length is not None and offset + length != size:
            raise WrongContentError(f"{digest} has {offset + length} bytes, its manifest states {size}")
        resumed(offset)
        with path.open("r+b" if offset else "wb") as file:
            file.seek(offset)
            for chunk in verify_chunks(stream.chunks, digest, size, prefix=_read_prefix(path, offset)):
                received(len(chunk))
                file.write(chunk)


def _start_offset(stream: Stream, offset: int) -> int:
    """Return the offset of the content: a registry may ignore the range and send everything."""
    if stream.status != 206:
        return 0
    match = _CONTENT_RANGE.fullmatch(stream.headers.get("Content-Range", ""))
    if match is None or int(match["first"]) != offset:
        raise WrongContentError("the server returned a different byte range than requested")
    return offset


def _read_prefix(path: Path, size: int) -> Iterator[bytes]:
    """Yield the first ``size`` bytes of a file."""
    if not size:
        return
    with path.open("rb") as file:
        while size and (chunk := file.read(min(size, 1 << 20))):
            size -= len(chunk)
            yield chunk


@dataclass(frozen=True)
class FetchLimits:
    """Size limits for an image.

    :param size: bytes of configuration and layers as stored in the registry, i.e. compressed
    :param layers: number of layers
    """

    size: int
    layers: int = MAX_LAYERS


def fetch_image(
    source: Repository,
    digest: str,
    directory: Path,
    *,
    limits: FetchLimits,
    deadline: Deadline,
    cache: Path | None = None,
    tick: Callable[[], None] = lambda: None,
) -> Manifest:
    """Fetch one image (not an image index) into a new directory, verifying all content by digest.

    :param source: the repository; its ``http`` may be canceled after an error
    :param digest: of the manifest
    :param directory: must not exist; its parent decides who can read it
    :param cache: directory in OCI image layout; blobs that it has are copied from there. None for none
    :param tick: called before the first request and about every second; an exception that it raises stops the transfer
    :returns: the manifest
    :raises WrongContentError: if content does not match its digest
    :raises RegistryError: if the image does not exist or is too large, or the registry cannot be reached
    :raises BuildFailedError: if the deadline has passed (or another type, as the deadline defines)
    :raises OSError: if a file cannot be written; the directory is removed after any error
    """
    tick()
    directory.mkdir()
    try:
        (manifest,) = _run_concurrently(source, [lambda: _manifest(source, digest, limits)], deadline, tick)
        (directory / "version").write_text(_DIR_VERSION)
        (directory / "manifest.json").write_bytes(manifest.raw)
        unique = {blob.digest: blob for blob in manifest.blobs}
        jobs = [_blob_job(source, blob, directory, cache) for blob in unique.values()]
        _run_concurrently(source, jobs, deadline, tick)
    except BaseException:
        shutil.rmtree(directory)
        raise
    return manifest


def _manifest(source: Repository, digest: str, limits: FetchLimits) -> Manifest:
    """Return the manifest of an image, checked against the limits."""
    where = source.reference.at(digest)
    manifest = source.manifest(digest)
    if manifest.is_index:
        raise RegistryError(f"{where} is an image index, not an image")
    config, *layers = manifest.blobs
    if len(layers) > limits.layers:
        raise RegistryError(f"{where} has {len(layers)} layers; the limit is {limits.layers}")
    if config.size > MAX_CONFIG_SIZE:
        raise RegistryError(f"the configuration of {where} is longer than {MAX_CONFIG_SIZE} bytes")
    sizes: dict[str, int] = {}
    for blob in manifest.blobs:
        if blob.is_foreign or blob.fields.get("urls"):
            raise RegistryError(
                f"{where} has a layer that is stored outside of its registry: {blob.digest}",
                solution="use another base image; layers are fetched only from the image's own registry",
            )
        if blob.is_manifest or not blob.digest.startswith("sha256:"):
            raise RegistryError(f"{where} refers to an unsupported blob: {blob.digest[:100]}")
        if sizes.setdefault(blob.digest, blob.size) != blob.size:
            raise WrongContentError(f"the manifest of {where} states two sizes for {blob.digest}")
    if sum(sizes.values()) > limits.size:
        raise RegistryError(
            f"{where} is too large: {sum(sizes.values())} bytes; the limit is {limits.size} bytes",
            solution="use a smaller base image; the limit is set by the site",
        )
    return manifest


def _blob_job(source: Repository, blob: Descriptor, directory: Path, cache: Path | None) -> Callable[[], None]:
    def received(_: int) -> None:
        if source.http.is_canceled:
            raise RegistryError(f"{source.reference}: transfer canceled")

    path = directory / blob.digest.partition(":")[2]

    def job() -> None:
        if cache is None or not _copy_cached(cache, blob, path, received):
            receive_blob(source, blob.digest, blob.size, path, received=received, resumed=received)

    return job


def _copy_cached(cache: Path, blob: Descriptor, path: Path, received: Callable[[int], None]) -> bool:
    """Copy a blob from a directory in OCI image layout; return whether it was there, with the right content.

    :param received: called with the number of bytes of each chunk
    :raises RegistryError: if ``received`` raises it
    """
    stored = cache / "blobs" / Path(*blob.digest.split(":"))
    try:
        with open(os.open(stored, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file, path.open("wb") as target:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError("not a regular file")
            for chunk in verify_chunks(iter(lambda: file.read(1 << 20), b""), blob.digest, blob.size):
                received(len(chunk))
                target.write(chunk)
    except (OSError, WrongContentError, RegistryUnavailableError) as error:
        path.unlink(missing_ok=True)
        if not isinstance(error, FileNotFoundError):
            _log.warning("the cached blob %s cannot be used: %s", stored, error)
        return False
    _log.info("%s copied from %s", blob.digest, cache)
    return True


def _run_concurrently(
    source: Repository, jobs: Iterable[Callable[[], Result]], deadline: Deadline, tick: Callable[[], None]
) -> list[Result]:
    """Run jobs concurrently and return their results in order; the first error cancels all of them."""
    pool = concurrent.futures.ThreadPoolExecutor(PARALLEL)
    futures = [pool.submit(job) for job in jobs]
    try:
        pending = set(futures)
        while pending:
            done, pending = concurrent.futures.wait(
                pending,
                timeout=min(TICK_INTERVAL, deadline.remaining),
                return_when=concurrent.futures.FIRST_EXCEPTION,
            )
            for future in done:
                future.result()
            if pending:
                deadline.check()
                tick()
    except BaseException:
        if any(not future.cancel() and not future.done() for future in futures):
            source.http.cancel()
            concurrent.futures.wait(futures, timeout=CANCEL_TIMEOUT)
        raise
    finally:
        pool.shutdown(wait=False)
    return [future.result() for future in futures]
