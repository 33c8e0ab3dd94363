# SPDX-License-Identifier: GPL-2.0-or-later
"""Handling of SIGINT, SIGTERM and the death of the parent process."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def die_with_parent() -> None:
    """Make the kernel send SIGTERM to this process when its parent dies (prctl(2))."""
    import ctypes

    set_parent_death_signal = 1
    ctypes.CDLL(None, use_errno=True).prctl(set_parent_death_signal, signal.SIGTERM)


def _ignore(*_: object) -> None:
    """Ignore a signal; child processes would inherit SIG_IGN, but not this handler."""


@contextlib.contextmanager
def _handled_by(
    handler: Callable[[int, FrameType | None], None] | signal.Handlers,
    *,
    signals: Sequence[signal.Signals] = STOP_SIGNALS,
) -> Iterator[None]:
    previous = {number: signal.getsignal(number) for number in signals}
    try:
        for number in signals:
            signal.signal(number, handler)  # may be called at once
        yield
    finally:
        for number, previous_handler in previous.items():
            signal.signal(number, previous_handler)


def shield_signals() -> contextlib.AbstractContextManager[None]:
    """Ignore SIGINT and SIGTERM in the block, which releases resources or cleans up."""
    return _handled_by(_ignore)


def is_shielded() -> bool:
    """Return whether this process ignores SIGINT and SIGTERM, because it cleans up."""
    return signal.getsignal(signal.SIGTERM) is _ignore


def exit_on_signal() -> contextlib.AbstractContextManager[None]:
    """Let SIGINT and SIGTERM end the process in the block, which handles an ``Interrupted``."""
    return _handled_by(signal.SIG_DFL)


def ignore_sigint() -> contextlib.AbstractContextManager[None]:
    """Leave Ctrl-C to the program that runs in the foreground."""
    return _handled_by(_ignore, signals=(signal.SIGINT,))


@contextlib.contextmanager
def on_suspend(handler: Callable[[], None]) -> Iterator[None]:
    """On Ctrl-Z (SIGTSTP), call a function instead of stopping the process; it must call ``suspend`` when it is ready.

    Nothing changes outside of the main thread, or if the signal is ignored (a shell without job control).
    """
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTSTP) == signal.SIG_IGN:
        yield
        return
    with _handled_by(lambda *_: handler(), signals=(signal.SIGTSTP,)):
        yield


def suspend() -> None:
    """Stop the process as Ctrl-Z does by default; return when it continues."""
    with _handled_by(signal.SIG_DFL, signals=(signal.SIGTSTP,)):
        os.kill(os.getpid(), signal.SIGTSTP)


class Interrupted(KeyboardInterrupt):
    """SIGINT or SIGTERM was received: abort the work in progress and clean up."""


@contextlib.contextmanager
def interruptible(*, exit_on_second: bool = False, pending: PendingInterrupt | None = None) -> Iterator[None]:
    """Raise ``Interrupted`` on the first SIGINT or SIGTERM; ignore further ones, so that cleanup completes.

    It can be raised before the block starts: catch it around the ``with`` statement, not in it.

    :param exit_on_second: let the second signal end the process immediately instead
    :param pending: a signal that was deferred until now is raised too
    """
    next_handler = signal.SIG_DFL if exit_on_second else _ignore

    def interrupt(number: int, _: FrameType | None) -> None:
        for stop_signal in STOP_SIGNALS:
            signal.signal(stop_signal, next_handler)
        raise Interrupted(signal.Signals(number).name)

    with _handled_by(interrupt):
        if pending is not None and pending.interrupted:
            raise Interrupted
        yield


class PendingInterrupt:
    """Whether a deferred signal was received."""

    def __init__(self) -> None:
        self.interrupted = False


@contextlib.contextmanager
def defer_signals() -> Iterator[PendingInterrupt]:
    """Defer the first SIGINT or SIGTERM: record it in the returned object; the second one ends the process."""
    pending = PendingInterrupt()

    def record(_number: int, _: FrameType | None) -> None:
        pending.interrupted = True
        for stop_signal in STOP_SIGNALS:
            signal.signal(stop_signal, signal.SIG_DFL)

    with _handled_by(record):
        yield pending
