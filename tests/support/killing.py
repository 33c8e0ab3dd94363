# SPDX-License-Identifier: GPL-2.0-or-later
"""Killing clients of registries after a number of requests, as kill -9 would."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable

import requests

#: Exit status of the killed process, and its timeout in seconds.
KILLED = 77
TIMEOUT = 240.0

#: Processes are forked from a single-threaded one: OpenSSL's locks do not survive a fork beside other threads.
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.support.promoting", "tests.support.killing"])


def killed_after(number: int, act: Callable[[], object]) -> bool:
    """Run a function in a separate process, which is killed after the response to the request of that number.

    Return whether it was killed; otherwise it ended before. No cleanup: no handler, no ``finally``.

    :param act: must be picklable; fails by raising
    """
    child = _CONTEXT.Process(target=_child, args=(number, act))
    child.start()
    child.join(TIMEOUT)
    if child.exitcode is None:
        child.kill()
    assert child.exitcode in (0, KILLED), f"it ended with exit status {child.exitcode}"
    return child.exitcode == KILLED


def _child(number: int, act: Callable[[], object]) -> None:
    """Make the process exit after that many responses."""
    real, lock, count = requests.Session.request, threading.Lock(), 0

    def counted(session: requests.Session, *arguments: object, **options: object) -> requests.Response:
        nonlocal count
        answer = real(session, *arguments, **options)  # type: ignore[arg-type]
        with lock:
            count += 1
            if count >= number:
                os._exit(KILLED)
        return answer

    requests.Session.request = counted  # type: ignore[method-assign, assignment]
    act()
