"""One blob from a registry into a file: gone on with where it ended before, and hashed while it comes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fedpkg_container.errors import NoSuchImageError
from fedpkg_container.registry.blob_file import receive_blob
from fedpkg_container.registry.http import RegistryHTTP
from fedpkg_container.registry.mirror.crew import StoppedError
from fedpkg_container.registry.mirror.images import Blob
from fedpkg_container.registry.mirror.throttle import Throttle
from fedpkg_container.registry.mirror.tree import sync
from fedpkg_container.registry.repository import Repository


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
        path = self.partial / blob.digest
        receive_blob(
            Repository(self.http, repository),
            blob.digest,
            blob.size,
            path,
            received=self._received,
            resumed=self.resumed,
        )
        sync(path)
        return path

    def _received(self, size: int) -> None:
        if self.stop.is_set():
            raise StoppedError
        if size:
            self.throttle.take(size, self.stop)
            self.received(size)
