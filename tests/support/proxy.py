# SPDX-License-Identifier: GPL-2.0-or-later
"""A TCP proxy that loses, truncates or delays responses: faults between a client and a server."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

#: Maximum delay of a connection, seconds.
HELD = 600.0


class LossyProxy:
    """Forwards connections to a port on loopback.

    Once armed, it closes a connection instead of forwarding the response. With ``cut_after`` it closes every connection
    that has received that many bytes, at any point. With ``hold_after`` it forwards nothing more of a connection on
    which the client has sent that many bytes, until it is released.
    """

    def __init__(self, port: int, *, cut_after: int = 0, hold_after: int = 0) -> None:
        self.target = port
        self.armed = False
        self.cut_after = cut_after
        self.hold_after = hold_after
        self.holds = threading.Event()
        self._released = threading.Event()
        self.lost = 0
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def _forward(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self.target), timeout=60)
        except OSError:
            client.close()
            return
        asked = False
        brought = sent = 0
        with contextlib.suppress(OSError), client, server, selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ)
            selector.register(server, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    source = key.fileobj
                    data = source.recv(65536)  # type: ignore[union-attr]
                    if not data:
                        return
                    if source is client:
                        asked = asked or self.armed
                        sent += len(data)
                        if self.hold_after and sent > self.hold_after:
                            self.holds.set()
                            self._released.wait(HELD)
                        server.sendall(data)
                    elif asked:
                        self.armed = False
                        self.lost += 1
                        return
                    else:
                        brought += len(data)
                        if self.cut_after and brought > self.cut_after:
                            client.sendall(data[: len(data) // 2])
                            self.lost += 1
                            return
                        client.sendall(data)

    def release(self) -> None:
        """Forward the delayed data, and delay nothing from now on."""
        self._released.set()

    def close(self) -> None:
        """Accept no more connections."""
        self.release()
        self._server.close()


@contextmanager
def lossy_proxy(port: int, *, cut_after: int = 0, hold_after: int = 0) -> Iterator[LossyProxy]:
    """A proxy for the duration of a test."""
    proxy = LossyProxy(port, cut_after=cut_after, hold_after=hold_after)
    try:
        yield proxy
    finally:
        proxy.close()
