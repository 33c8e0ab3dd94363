"""A TCP proxy that loses answers: for what happens between a client and a hub that it cannot see."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class LossyProxy:
    """Forwards connections to a port on loopback; once armed, it closes a connection instead of bringing the answer."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.armed = False
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
                        server.sendall(data)
                    elif asked:
                        self.armed = False
                        self.lost += 1
                        return
                    else:
                        client.sendall(data)

    def close(self) -> None:
        """Take no more connections."""
        self._server.close()


@contextmanager
def lossy_proxy(port: int) -> Iterator[LossyProxy]:
    """A proxy for the length of a test."""
    proxy = LossyProxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
