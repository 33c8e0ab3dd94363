"""Killing what talks to registries after a number of requests, as kill -9 would."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable

import requests

#: Exit status of what was killed, and seconds that it may take.
KILLED = 77
TIMEOUT = 240.0

#: Processes are forked from one that has no threads: OpenSSL's locks do not survive a fork beside others.
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.support.promoting", "tests.support.killing"])


def killed_after(number: int, act: Callable[[], object]) -> bool:
    """Do something in a process of its own, which is gone as soon as a request of that number was answered.

    Whether it was killed; otherwise it came to its end before. Nothing is cleaned up: no handler, no ``finally``.

    :param act: must be what pickle can take; it fails by raising
    """
    child = _CONTEXT.Process(target=_child, args=(number, act))
    child.start()
    child.join(TIMEOUT)
    if child.exitcode is None:
        child.kill()
    assert child.exitcode in (0, KILLED), f"it ended with exit status {child.exitcode}"
    return child.exitcode == KILLED


def _child(number: int, act: Callable[[], object]) -> None:
    """Have the process end when so many requests were answered."""
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
