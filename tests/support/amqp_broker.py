# SPDX-License-Identifier: GPL-2.0-or-later
"""An AMQP 0-9-1 broker on a socket: it confirms and keeps messages, or fails in one of the ways of real brokers.

It knows what a publisher needs: connection, channel, confirmations. Frames are encoded and decoded by pika, which has
the methods of both sides.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pika import frame, spec

#: Faults: the connection is closed when a message has arrived, or during the login; the message is rejected, never
#: confirmed, returned as unroutable, or forbidden; the exchange does not exist; the login fails.
CLOSES, CLOSES_EARLY, REJECTS, IS_SILENT, RETURNS, FORBIDS, HAS_NO_EXCHANGE, DENIES = (
    "closes", "closes early", "rejects", "is silent", "returns", "forbids", "has no exchange", "denies"
)  # fmt: skip
_HEADER = b"AMQP\x00\x00\x09\x01"


@dataclass(frozen=True)
class Received:
    """A message that was confirmed.

    :param topic: routing key
    :param id: of the message
    :param confirmed: whether the publisher got a confirmation
    """

    exchange: str
    topic: str
    id: str
    body: Any
    confirmed: bool


@dataclass
class Broker:
    """The broker.

    :param fault: how it fails; empty if it does not
    :param messages: those that arrived, also unconfirmed ones
    :param logins: names and passwords
    """

    port: int = 0
    fault: str = ""
    messages: list[Received] = field(default_factory=list)
    logins: list[bytes] = field(default_factory=list)
    _listener: socket.socket | None = None
    _connections: list[socket.socket] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"amqp://releng:Pl4nt3d@127.0.0.1:{self.port}/%2F?connection_attempts=1"

    def start(self) -> None:
        """Listen, on the same port as before."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections, and close those that are open."""
        if self._listener:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        for connection in self._connections:
            _close(connection)
        self._connections.clear()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.closing(connection):
            _Session(self, connection).run()


class _Session:
    """A connection.

    :param broker: whose faults it has
    """

    def __init__(self, broker: Broker, connection: socket.socket) -> None:
        self._broker, self._socket = broker, connection
        self._received = b""
        self._publishing: spec.Basic.Publish | None = None
        self._properties: spec.BasicProperties | None = None
        self._size = 0
        self._body = b""
        self._delivered = 0

    def run(self) -> None:
        """Serve it until either side closes it."""
        assert self._read(len(_HEADER)) == _HEADER
        able = {"publisher_confirms": True, "basic.nack": True}
        self._send(0, spec.Connection.Start(0, 9, {"product": "test", "capabilities": able}, "PLAIN", "en_US"))
        for received in self._frames():
            if self._handle(received):
                return

    def _frames(self) -> Iterator[Any]:
        while True:
            used, found = frame.decode_frame(self._received)
            if found is None:
                more = self._socket.recv(1 << 16)
                if not more:
                    return
                self._received += more
                continue
            self._received = self._received[used:]
            yield found

    def _read(self, size: int) -> bytes:
        while len(self._received) < size:
            self._received += self._socket.recv(1 << 16)
        content, self._received = self._received[:size], self._received[size:]
        return content

    def _send(self, channel: int, method: Any) -> None:
        self._socket.sendall(frame.Method(channel, method).marshal())

    def _handle(self, received: Any) -> bool:
        """Respond to a frame; return whether the connection ends."""
        channel = received.channel_number
        if isinstance(received, frame.Header):
            self._properties, self._size, self._body = received.properties, received.body_size, b""
        elif isinstance(received, frame.Body):
            self._body += received.fragment
            if len(self._body) == self._size:
                return self._deliver(channel)
        elif isinstance(received, frame.Method):
            return self._respond(channel, received.method)
        return False

    def _respond(self, channel: int, method: Any) -> bool:
        fault = self._broker.fault
        if isinstance(method, spec.Connection.StartOk):
            self._broker.logins.append(method.response)
            if fault == CLOSES_EARLY:
                return True
            if fault == DENIES:
                self._send(0, spec.Connection.Close(403, "ACCESS_REFUSED", 10, 11))
                return False
            self._send(0, spec.Connection.Tune(2047, 131072, 0))
        elif isinstance(method, spec.Connection.Open):
            self._send(0, spec.Connection.OpenOk())
        elif isinstance(method, spec.Channel.Open):
            self._send(channel, spec.Channel.OpenOk())
        elif isinstance(method, spec.Confirm.Select):
            self._delivered = 0
            self._send(channel, spec.Confirm.SelectOk())
        elif isinstance(method, spec.Basic.Publish):
            self._publishing = method
        elif isinstance(method, spec.Channel.Close):
            self._send(channel, spec.Channel.CloseOk())
        elif isinstance(method, spec.Connection.Close):
            self._send(0, spec.Connection.CloseOk())
            return True
        return isinstance(method, spec.Connection.CloseOk)

    def _deliver(self, channel: int) -> bool:
        """Confirm a message, or fail."""
        fault, published, properties = self._broker.fault, self._publishing, self._properties
        assert published and properties
        self._delivered += 1
        self._broker.messages.append(
            Received(
                published.exchange, published.routing_key, properties.message_id, json.loads(self._body), not fault
            )
        )
        if fault == REJECTS:
            self._send(channel, spec.Basic.Nack(self._delivered))
        elif fault == RETURNS:
            returned = spec.Basic.Return(312, "NO_ROUTE", published.exchange, published.routing_key)
            self._send(channel, returned)
            self._socket.sendall(frame.Header(channel, len(self._body), properties).marshal())
            self._socket.sendall(frame.Body(channel, self._body).marshal())
            self._send(channel, spec.Basic.Ack(self._delivered))
        elif fault == FORBIDS:
            self._send(channel, spec.Channel.Close(403, "ACCESS_REFUSED - write access refused", 60, 40))
        elif fault == HAS_NO_EXCHANGE:
            self._send(channel, spec.Channel.Close(404, "NOT_FOUND - no exchange", 60, 40))
        elif not fault:
            self._send(channel, spec.Basic.Ack(self._delivered))
        return fault == CLOSES


def _close(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


@contextlib.contextmanager
def running_broker() -> Iterator[Broker]:
    """Run a broker on a separate port."""
    broker = Broker()
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()
