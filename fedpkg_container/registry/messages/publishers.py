# SPDX-License-Identifier: GPL-2.0-or-later
"""Where messages are sent to: a program of the site, or an AMQP exchange with fedora-messaging."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fedpkg_container.errors import FedpkgContainerError
from fedpkg_container.process import run
from fedpkg_container.registry.messages.amqp import publish_in_process
from fedpkg_container.registry.messages.message import Message
from fedpkg_container.text import reason_text

#: Maximum output of a program in bytes; only an error message is used.
_OUTPUT_LIMIT = 10**6


@dataclass(frozen=True)
class MessageSettings:
    """The receiver of messages; none are sent if neither is set.

    :param command: program with its arguments
    :param fedora_messaging: configuration file of fedora-messaging
    :param timeout: deadline for one message, seconds
    """

    command: tuple[str, ...] = ()
    fedora_messaging: Path | None = None
    timeout: int = 30


class Publisher(Protocol):
    """Sends messages."""

    def publish(self, message: Message) -> None:
        """Send a message, and return when the receiver has accepted it.

        :raises FedpkgContainerError: if it was not accepted in time
        """
        ...


def publisher(settings: MessageSettings) -> Publisher | None:
    """Return the publisher of a site; None if none is configured."""
    if settings.command:
        return ProgramPublisher(settings.command, settings.timeout)
    if settings.fedora_messaging:
        return FedoraMessagingPublisher(settings.fedora_messaging, settings.timeout)
    return None


@dataclass(frozen=True)
class ProgramPublisher:
    """Passes each message to a program, as a line of JSON on standard input; its exit status must be 0.

    :param command: program with its arguments
    :param timeout: seconds until the program is stopped
    """

    command: Sequence[str]
    timeout: float

    def publish(self, message: Message) -> None:
        """Run the program."""
        try:
            run(self.command, timeout=self.timeout, stdin=message.text, limit=_OUTPUT_LIMIT)
        except OSError as error:  # e.g. no memory for another process
            raise FedpkgContainerError(f"{self.command[0]} could not be started: {reason_text(error)}") from error


@dataclass(frozen=True)
class FedoraMessagingPublisher:
    """Publishes to the exchange in the configuration of fedora-messaging, and waits for the broker's confirmation.

    :param configuration: file of fedora-messaging: broker, exchange, certificates, prefix of topics
    :param timeout: seconds until the broker must have confirmed a message
    """

    configuration: Path
    timeout: int

    def publish(self, message: Message) -> None:
        """Publish the message."""
        publish_in_process(self.configuration, message, self.timeout)
