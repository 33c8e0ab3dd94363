"""Being told to stop: by a person, by a daemon, or by the death of the process that started this one."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator, Sequence
from types import FrameType


def die_with_parent() -> None:
    """Have the kernel send this process SIGTERM when the process that started it dies."""
    import ctypes

    set_parent_death_signal = 1
    ctypes.CDLL(None, use_errno=True).prctl(set_parent_death_signal, signal.SIGTERM)


def _nothing(*_: object) -> None:
    """A handler rather than SIG_IGN, which the programs started meanwhile would inherit."""


@contextlib.contextmanager
def _handled_by(
    handler: Callable[[int, FrameType | None], None], *, of: Sequence[signal.Signals] = (signal.SIGINT, signal.SIGTERM)
) -> Iterator[None]:
    before = {each: signal.signal(each, handler) for each in of}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def shield_signals() -> contextlib.AbstractContextManager[None]:
    """Let neither SIGINT nor SIGTERM disturb what is done inside: giving back, cleaning up."""
    return _handled_by(_nothing)


def ignore_sigint() -> contextlib.AbstractContextManager[None]:
    """Leave Ctrl-C to the program that runs on this terminal meanwhile."""
    return _handled_by(_nothing, of=(signal.SIGINT,))


class Interrupted(KeyboardInterrupt):
    """SIGINT or SIGTERM: the work in progress is to be given up, and cleaned up after."""


def interruptible(*, leave_on_second: bool = False) -> contextlib.AbstractContextManager[None]:
    """Turn the first SIGINT or SIGTERM into ``Interrupted``; further ones do not disturb the cleaning up.

    :param leave_on_second: let the second one end the process at once instead
    """
    then = signal.SIG_DFL if leave_on_second else _nothing

    def interrupt(number: int, _: FrameType | None) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, then)
        raise Interrupted(signal.Signals(number).name)

    return _handled_by(interrupt)


class PendingInterrupt:
    """Whether an interrupt came that was put off."""

    def __init__(self) -> None:
        self.interrupted = False


@contextlib.contextmanager
def defer_signals() -> Iterator[PendingInterrupt]:
    """Put the first SIGINT or SIGTERM off, and say afterwards that it came; the second one ends the process."""
    pending = PendingInterrupt()

    def note(_number: int, _: FrameType | None) -> None:
        pending.interrupted = True
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_DFL)

    with _handled_by(note):
        yield pending
