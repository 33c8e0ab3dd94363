# SPDX-License-Identifier: GPL-2.0-or-later
"""Renewal of an input file that expires while its pod waits or runs: the registry token.

The Secret is patched, and the kubelet replaces the files of the volume. The program in the pod reads the file again
when the registry rejects the token.
"""

from __future__ import annotations

import base64
import queue
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from fedpkg_container.cluster.client import ClusterClient
from fedpkg_container.cluster.streams import Reader
from fedpkg_container.errors import ConfigurationError, FedpkgContainerError

#: Maximum seconds until a changed Secret is in the volumes of its pods: the kubelet checks it when it synchronizes a
#: pod, every 60 to 90 s (syncFrequency; workerResyncIntervalJitterFactor), in a cache that a watch updates.
PROPAGATION = 120.0
#: Seconds until a failed request for a token is retried.
RETRY = 30.0
#: Shortest validity of a file, seconds: the common default of token servers.
MIN_LIFETIME = 300.0


@dataclass(frozen=True)
class Issued:
    """The contents of a file.

    :param lifetime: seconds for which they are valid
    """

    content: bytes = field(repr=False)
    lifetime: float

    @property
    def renewal(self) -> float:
        """Seconds after which to replace the file; the old contents stay valid for as long after the replacement."""
        return (self.lifetime - PROPAGATION) / 2


@dataclass(frozen=True)
class RenewedFile:
    """An input file of a pod that expires.

    :param name: in the Secret
    :param request: returns new contents
    """

    name: str
    request: Callable[[], Issued]

    def issue(self) -> Issued:
        """Return new contents.

        :raises ConfigurationError: if they expire too early to be renewed
        """
        issued = self.request()
        if issued.lifetime < MIN_LIFETIME:
            raise ConfigurationError(
                f"the token for the pod is valid for {issued.lifetime:g} s, which is too short to renew it: kubelets"
                f" need up to {PROPAGATION:g} s to replace it",
                solution=f"have the token server issue tokens that are valid for {MIN_LIFETIME:g} s or longer, or use"
                " auth_file instead of task_token",
            )
        return issued


@dataclass(frozen=True)
class Notice:
    """A text for the log of the task."""

    text: str


class Renewal(Reader):
    """A thread that replaces a file in a Secret before it expires.

    :param path: of the Secret
    :param after: seconds until the first renewal
    """

    def __init__(
        self, client: ClusterClient, path: str, file: RenewedFile, after: float, events: queue.Queue[object]
    ) -> None:
        super().__init__(events, "token-renewal")
        self._client, self._path, self._file = client, path, file
        self._due = time.monotonic() + after

    def read(self) -> bool:
        """Wait until the file is due, and replace it.

        :raises ClusterError: if the request fails
        """
        if self.stopped.wait(max(0.0, self._due - time.monotonic())):
            return True
        try:
            issued = self._file.issue()
        except FedpkgContainerError as error:  # the current file may still be valid
            self.put(Notice(f"cannot renew the registry token: {error.reason}"))
            self._due = time.monotonic() + RETRY
            return False
        replace_file(self._client, self._path, self._file.name, issued)
        self.works()
        self._due = time.monotonic() + issued.renewal
        return False


def replace_file(client: ClusterClient, path: str, name: str, issued: Issued) -> None:
    """Replace a file in a Secret.

    :param path: of the Secret
    :raises ClusterError: if the request fails
    """
    client.request("PATCH", path, body={"data": {name: encoded(issued.content)}})


def encoded(content: bytes) -> str:
    """Return the contents of a file, encoded for a Secret."""
    return base64.b64encode(content).decode()
