"""Bringing blobs to a target: mounted where its registry has them, else streamed, and hashed on the way."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from fedpkg_container.errors import RegistryError, RegistryUnavailableError
from fedpkg_container.model.limits import Deadline
from fedpkg_container.registry.copy import send
from fedpkg_container.registry.digests import hashed
from fedpkg_container.registry.manifests import Descriptor
from fedpkg_container.registry.promotion.presence import has_blob
from fedpkg_container.registry.repository import Repository


@dataclass
class Tally:
    """What was done with the blobs of one image, or would be.

    :param bytes_sent: of the blobs that were sent; ``bytes_mounted`` of those that were not
    """

    mounted: int = 0
    sent: int = 0
    present: int = 0
    bytes_mounted: int = 0
    bytes_sent: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def add(self, means: str, size: int) -> None:
        """One more blob: mounted, sent or present."""
        with self._lock:
            setattr(self, means, getattr(self, means) + 1)
            if means != "present":
                setattr(self, f"bytes_{means}", getattr(self, f"bytes_{means}") + size)


def copy_deadline(what: str, seconds: float) -> Deadline:
    """Return the deadline of a copy to a target.

    :param what: subject of the error message
    """
    return Deadline(what, seconds, "raise the timeout of its target, or run it again: what is there is not sent again",
                    RegistryError)  # fmt: skip


@dataclass(frozen=True)
class Blobs:
    """Brings blobs; one for all images, so that what one of them has sent is mounted for the next.

    :param verify: read each blob of the candidate, and hash it, even where it would only be mounted
    :param sent: told how many bytes were read to be sent, or hashed
    """

    verify: bool = False
    sent: Callable[[int], None] = lambda _: None
    _places: dict[str, str] = field(default_factory=dict)
    _sending: defaultdict[str, threading.Lock] = field(default_factory=lambda: defaultdict(threading.Lock))

    def bring(
        self, blob: Descriptor, source: Repository, target: Repository, *, nearby: Sequence[str], deadline: Deadline
    ) -> str:
        """Have a blob in the target's repository; by what means: mounted, sent or present.

        :param nearby: other repositories of the target's registry that may have it
        :raises RegistryError: it is not there, is not what its digest says, or is not taken
        """
        deadline.check()
        if source.http.host == target.http.host:
            if self.verify:
                self._read(blob, source, deadline)
            if _mount(target, blob, source.name):
                return "mounted"
            nearby = ()
        if has_blob(target, blob.digest):
            return "present"
        with self._sending[blob.digest]:
            if self._places.get(blob.digest) == target.name:  # another image has just brought it
                return "present"
            for place in dict.fromkeys([self._places.get(blob.digest, ""), *nearby]):
                if place and place != target.name and _mount(target, blob, place):
                    return "mounted"
            send(blob, source, target, watched=lambda chunks: self._within(chunks, deadline))
            self._places[blob.digest] = target.name
        return "sent"

    @staticmethod
    def foresee(blob: Descriptor, source: Repository, target: Repository) -> str:
        """What ``bring`` would do, as far as one request tells."""
        if has_blob(target, blob.digest):
            return "present"
        return "mounted" if source.http.host == target.http.host else "sent"

    def _read(self, blob: Descriptor, source: Repository, deadline: Deadline) -> None:
        def once() -> None:
            with source.open_blob(blob.digest) as stream:
                for _ in hashed(self._within(stream.chunks, deadline), blob.digest, blob.size):
                    pass

        source.http.again(once)

    def _within(self, chunks: Iterator[bytes], deadline: Deadline) -> Iterator[bytes]:
        for chunk in chunks:
            deadline.check()
            self.sent(len(chunk))
            yield chunk


def _mount(target: Repository, blob: Descriptor, place: str) -> bool:
    """Whether a repository that may have a blob gave it; one that may not be read gives nothing."""
    try:
        return target.mount(blob.digest, place)
    except RegistryUnavailableError:
        raise
    except RegistryError:
        return False
