# SPDX-License-Identifier: GPL-2.0-or-later
"""Copying the blobs of images to a target: they are mounted or streamed, each at most once."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from fedpkg_container.errors import RegistryError, RegistryUnavailableError
from fedpkg_container.model.limits import Deadline
from fedpkg_container.registry.copy import copy_blob
from fedpkg_container.registry.digests import verify_chunks
from fedpkg_container.registry.manifests import Descriptor
from fedpkg_container.registry.repository import Repository

_log = logging.getLogger(__name__)


def manifest_exists(repository: Repository, digest: str) -> bool:
    """Return whether a manifest exists and can be read."""
    with _damaged_as_missing():
        return repository.head(digest) == digest
    return False


def blob_exists(repository: Repository, digest: str) -> bool:
    """Return whether a blob exists and can be read."""
    with _damaged_as_missing():
        return repository.has_blob(digest)
    return False


@contextlib.contextmanager
def _damaged_as_missing() -> Iterator[None]:
    """Suppress HTTP 500, with which docker-registry responds to requests for content that a full disk damaged."""
    try:
        yield
    except RegistryUnavailableError as error:
        if error.status != 500:
            raise
        _log.warning("%s; treating it as missing", error.reason)


@dataclass
class BlobCounts:
    """How the blobs of an image were copied, or would be in a dry run.

    :param bytes_sent: total size of the sent blobs; ``bytes_mounted`` of the mounted ones
    """

    mounted: int = 0
    sent: int = 0
    present: int = 0
    bytes_mounted: int = 0
    bytes_sent: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def add(self, method: str, size: int) -> None:
        """Count a blob as mounted, sent or present."""
        with self._lock:
            setattr(self, method, getattr(self, method) + 1)
            if method != "present":
                setattr(self, f"bytes_{method}", getattr(self, f"bytes_{method}") + size)


def copy_deadline(what: str, seconds: float) -> Deadline:
    """Return the deadline of a copy to a target.

    :param what: subject of the error message
    """
    return Deadline(what, seconds, "increase the timeout of the target, or run it again; sent blobs are not sent again",
                    RegistryError)  # fmt: skip


@dataclass(frozen=True)
class BlobCopier:
    """Copies blobs; shared by all images, so that a blob sent for one can be mounted for the next.

    :param verify: read and hash each blob of the candidate registry, even if it is mounted
    :param sent: called with the number of bytes read for sending or hashing
    """

    verify: bool = False
    sent: Callable[[int], None] = lambda _: None
    _copied_to: dict[str, str] = field(default_factory=dict)
    _locks: defaultdict[str, threading.Lock] = field(default_factory=lambda: defaultdict(threading.Lock))

    def copy(
        self,
        blob: Descriptor,
        source: Repository,
        target: Repository,
        *,
        mount_sources: Sequence[str],
        deadline: Deadline,
    ) -> str:
        """Copy a blob to the target's repository; return how: mounted, sent or present.

        :param mount_sources: other repositories of the target's registry that may have it
        :raises RegistryError: if it does not exist, has a different digest, or is rejected
        """
        deadline.check()
        if source.http.host == target.http.host:
            if self.verify:
                self._verify(blob, source, deadline)
            if _mount(target, blob, source.name):
                return "mounted"
            mount_sources = ()
        if blob_exists(target, blob.digest):
            return "present"
        with self._locks[blob.digest]:
            if self._copied_to.get(blob.digest) == target.name:  # copied for another image in the meantime
                return "present"
            for source_name in dict.fromkeys([self._copied_to.get(blob.digest, ""), *mount_sources]):
                if source_name and source_name != target.name and _mount(target, blob, source_name):
                    return "mounted"
            copy_blob(blob, source, target, wrap_chunks=lambda chunks: self._checked_chunks(chunks, deadline))
            self._copied_to[blob.digest] = target.name
        _log.debug("blob %s of %d bytes sent to %s", blob.digest, blob.size, target.reference)
        return "sent"

    @staticmethod
    def predict(blob: Descriptor, source: Repository, target: Repository) -> str:
        """Return what ``copy`` would probably do, from one request."""
        if blob_exists(target, blob.digest):
            return "present"
        return "mounted" if source.http.host == target.http.host else "sent"

    def _verify(self, blob: Descriptor, source: Repository, deadline: Deadline) -> None:
        def attempt() -> None:
            with source.open_blob(blob.digest) as stream:
                for _ in verify_chunks(self._checked_chunks(stream.chunks, deadline), blob.digest, blob.size):
                    pass

        source.http.retry(attempt)

    def _checked_chunks(self, chunks: Iterator[bytes], deadline: Deadline) -> Iterator[bytes]:
        for chunk in chunks:
            deadline.check()
            self.sent(len(chunk))
            yield chunk


def _mount(target: Repository, blob: Descriptor, source_name: str) -> bool:
    """Try to mount a blob; return False if the other repository does not have it or cannot be read."""
    try:
        return target.mount(blob.digest, source_name)
    except RegistryUnavailableError:
        raise
    except RegistryError:
        return False
