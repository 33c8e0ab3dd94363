# SPDX-License-Identifier: GPL-2.0-or-later
"""A port that counts connections, to show that none was made."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Listener:
    """A port of this machine that accepts connections and sends nothing.

    :param address: host and port
    :param accepted: the addresses of clients that connected
    """

    address: str
    accepted: list[str] = field(default_factory=list)


@contextlib.contextmanager
def listener(host: str = "127.0.0.1") -> Iterator[Listener]:
    """Listen on a free port; ``accepted`` is complete when the block has ended."""
    with socket.create_server((host, 0)) as server, socket.socket() as ending:
        ending.bind((host, 0))
        last = ending.getsockname()
        port = server.getsockname()[1]
        found = Listener(f"{host}:{port}")

        def accept() -> None:
            while True:
                connection, client = server.accept()
                connection.close()
                if client == last:
                    return
                found.accepted.append(client[0])

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield found
        finally:
            ending.connect((host, port))  # after all others in the accept queue
            thread.join(10)
            assert not thread.is_alive()


def closed_port(host: str = "127.0.0.1") -> str:
    """Return host and port of a closed port."""
    with socket.create_server((host, 0)) as server:
        return f"{host}:{server.getsockname()[1]}"
