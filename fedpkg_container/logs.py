# SPDX-License-Identifier: GPL-2.0-or-later
"""Handlers of the log: on standard error of a program, in the log of a server, and in that of kojid.

Each module logs to the logger of its name, below ``fedpkg_container``: programs and requests at DEBUG, decisions and
steps at INFO, retries and other events that an administrator should see at WARNING. Each record becomes one line
without control characters and secrets. Loggers of other packages (rpkg, koji) are not changed.

A module that answers a TAB must not import this one.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import sys
from collections.abc import Iterator

from fedpkg_container.redaction import redact_message

#: Parent of the loggers of all modules.
PACKAGE = "fedpkg_container"
#: Format of lines: on a terminal, with ``-v`` or ``--debug``, and in the logs of servers.
PLAIN = "%(message)s"
DETAILED = "%(asctime)s %(levelname)s %(name)s: %(message)s"
SERVER = "%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"
#: Logger of GitPython, which starts git for the client.
_GIT = "git.cmd"
#: What this process works on, e.g. ``task 7``; precedes each message.
_subjects: list[str] = []


@contextlib.contextmanager
def subject(text: str) -> Iterator[None]:
    """Put a text before all messages of this process, all threads included, during the block.

    :param text: e.g. ``task 7`` or an NVR
    """
    _subjects.append(text)
    try:
        yield
    finally:
        _subjects.remove(text)


def cleaned(record: logging.LogRecord) -> logging.LogRecord:
    """Return a copy of a record whose message is one line without secrets, with the subject."""
    line = redact_message(record.getMessage())
    result = copy.copy(record)
    result.msg, result.args = f"{', '.join(_subjects)}: {line}" if _subjects else line, None
    return result


class LineFormatter(logging.Formatter):
    """Formats records as single lines without secrets; a traceback follows on further lines, cleaned as well."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record."""
        record = cleaned(record)
        record.exc_text = None  # formatted by another formatter, which has not cleaned it
        return super().format(record)

    def formatException(self, ei: object) -> str:  # noqa: N802, the name is logging's
        """Return a traceback."""
        text = super().formatException(ei)  # type: ignore[arg-type]
        return "\n".join(redact_message(line) for line in text.splitlines())


class StderrHandler(logging.Handler):
    """Writes to the current ``sys.stderr``, which a progress bar may have replaced."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record; a log that cannot be written does not stop the program."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(f"{self.format(record)}\n")
            sys.stderr.flush()


def show(*, verbose: bool = False, debug: bool = False) -> None:
    """Show the log of this program on standard error: warnings, unless more is requested.

    :param verbose: also decisions and steps
    :param debug: also programs and requests
    """
    level = logging.DEBUG if debug else logging.INFO if verbose else logging.WARNING
    handler = StderrHandler()
    handler.setFormatter(LineFormatter(PLAIN if level == logging.WARNING else DETAILED))
    _attach(logging.getLogger(PACKAGE), handler, level)
    if level == logging.DEBUG:
        _attach(logging.getLogger(_GIT), handler, level)


def log_traceback(error: BaseException) -> None:
    """Log where an error was raised, at DEBUG, for a program that shows its message itself."""
    logging.getLogger(PACKAGE).debug("%s: %s", type(error).__name__, error, exc_info=error)


def serve(level: int = logging.INFO) -> None:
    """Write the log of this server and of the packages that it uses to standard error, which is its log file."""
    reset()
    handler = StderrHandler()
    handler.setFormatter(LineFormatter(SERVER))
    _attach(logging.getLogger(), handler, level)


def forward_to_koji(name: str) -> None:
    """Pass the records of this package on to a logger of Koji, whose level and handlers (kojid.log) then apply.

    :param name: the logger, e.g. ``koji.build.container``
    """
    if any(isinstance(handler.formatter, LineFormatter) for handler in logging.getLogger().handlers):
        return  # a server of the box, whose log has them already
    koji_logger = logging.getLogger(name)
    _attach(logging.getLogger(PACKAGE), _Forwarder(koji_logger), koji_logger.getEffectiveLevel())


class _Forwarder(logging.Handler):
    """Passes records on to another logger.

    :param target: the logger
    """

    def __init__(self, target: logging.Logger) -> None:
        super().__init__()
        self._target = target

    def emit(self, record: logging.LogRecord) -> None:
        """Pass the record on, cleaned, if the other logger is enabled for its level."""
        if self._target.isEnabledFor(record.levelno):
            self._target.handle(cleaned(record))


def _attach(logger: logging.Logger, handler: logging.Handler, level: int) -> None:
    """Add a handler to a logger, in place of an earlier one of this module."""
    _detach(logger)
    handler.setLevel(level)  # the log of steps is enabled for INFO whatever the level
    logger.setLevel(level)
    logger.addHandler(handler)


def reset() -> None:
    """Remove the handlers of this module from the loggers of programs; their levels are the inherited ones again."""
    for logger in (logging.getLogger(PACKAGE), logging.getLogger(_GIT)):
        _detach(logger)
        logger.setLevel(logging.NOTSET)


def _detach(logger: logging.Logger) -> None:
    for handler in logger.handlers[:]:
        if isinstance(handler, (StderrHandler, _Forwarder)):
            logger.removeHandler(handler)
