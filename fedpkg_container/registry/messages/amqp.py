# SPDX-License-Identifier: GPL-2.0-or-later
"""Publishing of one message with fedora-messaging, in a separate process: its threads may never end after a failure.

The program reads the message from standard input, and writes an error, if there is one, to standard output (JSON).
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from fedpkg_container.errors import FedpkgContainerError, ProgramError, ProgramTimeoutError
from fedpkg_container.process import run
from fedpkg_container.registry.messages.message import Message
from fedpkg_container.text import os_error_text, printable_line, reason_text

#: Seconds for the start of the program and the end of its connection, in addition to the deadline of the message.
_MARGIN = 60
#: Maximum output of the program, bytes.
_OUTPUT_LIMIT = 10**6


def publish_in_process(configuration: Path, message: Message, timeout: int) -> None:
    """Publish a message in a separate process, which always ends.

    :param configuration: file of fedora-messaging
    :param timeout: seconds until the broker must have confirmed the message
    :raises FedpkgContainerError: if it was not confirmed
    """
    command = [sys.executable, "-m", __name__, str(configuration.absolute()), str(timeout)]
    content = json.dumps(asdict(message)).encode()
    try:
        # Not in the current directory, from which Python would import modules.
        done = run(command, timeout=timeout + _MARGIN, stdin=content, limit=_OUTPUT_LIMIT, cwd=Path("/"))
        error = json.loads(done.stdout)
    except (ProgramError, ProgramTimeoutError) as failure:
        raise _failed(configuration, failure.reason) from failure
    except (OSError, ValueError) as failure:
        raise _failed(configuration, reason_text(failure)) from failure
    if error:
        raise FedpkgContainerError(str(error["reason"]), solution=str(error["solution"]))


def publish(configuration: Path, message: Message, timeout: int) -> None:
    """Publish a message with its own ID, by which consumers recognize one that is sent again.

    :param configuration: file of fedora-messaging
    :param timeout: seconds until the broker must have confirmed it
    :raises FedpkgContainerError: if it was not confirmed
    """
    try:
        from fedora_messaging import api, config
        from fedora_messaging.exceptions import BaseException as MessagingError
        from pika.exceptions import AMQPError
    except ImportError as error:
        raise FedpkgContainerError(
            f"[messages] fedora_messaging needs the Python module {error.name}",
            solution="install python3-fedora-messaging, or set [messages] command instead",
        ) from error
    try:
        config.conf.load_config(str(configuration))
        sent = api.Message(topic=message.topic, body=message.body)
        sent.id = message.id
        api.publish(sent, timeout=timeout)
    except (MessagingError, AMQPError) as error:
        raise _failed(configuration, _reason(error)) from error
    except OSError as error:
        raise _failed(configuration, os_error_text(error)) from error


def _reason(error: Exception) -> str:
    """Return the text of an error of fedora-messaging, which may only be in its cause, or the name of its class."""
    texts = (printable_line(str(text)) for text in (error, getattr(error, "reason", "")))
    return next(filter(None, texts), type(error).__name__)


def _failed(configuration: Path, reason: str) -> FedpkgContainerError:
    return FedpkgContainerError(
        f"fedora-messaging could not publish to the exchange: {reason}",
        solution=f"check {configuration} and the broker",
    )


def main() -> None:
    """Publish the message on standard input; the arguments are the configuration and the deadline in seconds."""
    configuration, timeout = Path(sys.argv[1]), int(sys.argv[2])
    result: dict[str, str] = {}
    try:
        publish(configuration, Message(**json.load(sys.stdin)), timeout)
    except FedpkgContainerError as error:
        result = {"reason": error.reason, "solution": error.solution}
    sys.stdout.write(json.dumps(result))
    sys.stdout.flush()
    os._exit(0)  # without waiting for the threads of fedora-messaging


if __name__ == "__main__":
    main()
