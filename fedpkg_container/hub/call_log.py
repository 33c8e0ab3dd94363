# SPDX-License-Identifier: GPL-2.0-or-later
"""Log of the requests to a hub: the names of the calls, host and path, the outcome and the duration.

Parameters and results are not logged: they contain tokens of reservations and session keys.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import koji

from fedpkg_container.redaction import host_and_path

_log = logging.getLogger(__name__)

#: Maximum number of names that are logged of a multicall.
MAX_NAMES = 10


def log_calls(session: Any) -> Any:
    """Make a session log its requests at DEBUG, and retries of koji's client at WARNING; return the session.

    :param session: a ``koji.ClientSession``; others are left alone
    """
    if not isinstance(session, koji.ClientSession) or "_callMethod" in vars(session):  # logged already
        return session
    call = session._callMethod
    where = "".join(host_and_path(session.baseurl))

    def logged_call(name: str, args: Any, kwargs: Any = None, retry: bool = True) -> Any:
        if session.multicall:  # old style: only collects the call
            return call(name, args, kwargs, retry)
        started, outcome = time.monotonic(), "ok"
        session.retries = 0
        try:
            return call(name, args, kwargs, retry)
        except BaseException as error:
            outcome = type(error).__name__
            raise
        finally:
            seconds, attempts = time.monotonic() - started, session.retries
            if _log.isEnabledFor(logging.DEBUG):
                _log.debug("%s to %s: %s after %.3f s", _shown(name, args), where, outcome, seconds)
            if attempts > 1:
                _log.warning("%s to %s took %d attempts, %.1f s: %s", name, where, attempts, seconds, outcome)

    session._callMethod = logged_call
    return session


def _shown(name: str, args: Any) -> str:
    """Return the name of a call; of a multicall those of its calls."""
    if name != "multiCall" or not args or not isinstance(args[0], Sequence):
        return name
    names = [str(each.get("methodName")) for each in args[0] if isinstance(each, Mapping)]
    counts = {each: names.count(each) for each in dict.fromkeys(names)}
    texts = [each if count == 1 else f"{each} {count} times" for each, count in counts.items()]
    more = [f"{len(texts) - MAX_NAMES} more"] if len(texts) > MAX_NAMES else []
    return f"{name} ({', '.join(texts[:MAX_NAMES] + more)})"
