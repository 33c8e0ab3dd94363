"""Fetching ``.repo`` files."""

from __future__ import annotations

import configparser
import threading
import time
from collections.abc import Callable
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connectionpool import HTTPConnectionPool

from fedpkg_container.errors import RefusedError
from fedpkg_container.registry.connections import Opened
from fedpkg_container.text import printable_line

#: Seconds for connecting and for each answer, and for the whole file.
TIMEOUT = 30
DEADLINE = 120
#: The longest file, bytes.
LONGEST = 1024 * 1024
MOST_REDIRECTIONS = 5

#: Whether an address (of an IP) may be asked.
Allows = Callable[[str], bool]


def fetch_repo_file(url: str, *, allows: Allows | None = None) -> str:
    """The text of a .repo file.

    :param allows: which hosts may be asked; None: any. It is asked about the address that was connected to, so that
        neither names nor redirections lead elsewhere
    :raises RefusedError: it cannot be read
    """
    try:
        text = _fetch(url, allows).decode()
        parse(text)
    except configparser.Error as error:  # its own words would show what the answer was
        raise _refusal(url, "it has no sections with values in them") from error
    except (requests.RequestException, OSError, ValueError) as error:
        raise _refusal(url, str(error)) from error
    return text


def _refusal(url: str, why: str) -> RefusedError:
    return RefusedError(
        f"{printable_line(url)} cannot be read as a .repo file: {printable_line(why)}",
        solution="give --repo-url the http(s) address of one",
    )


def _fetch(url: str, allows: Allows | None) -> bytes:
    opened, deadline = Opened(), time.monotonic() + DEADLINE
    # A server may send a byte now and then, of a header too: what counts is the time for all of it.
    clock = threading.Timer(DEADLINE, opened.cut)
    clock.daemon = True
    clock.start()
    try:
        with requests.Session() as session:
            if allows is not None:
                session.trust_env = False  # no proxy, which would ask for us, and nothing of root's .netrc
            for scheme in ("http://", "https://"):
                session.mount(scheme, _GuardedAdapter(allows or (lambda _: True), opened))
            for _ in range(MOST_REDIRECTIONS):
                _check_time(deadline)
                # Followed here: the library would read the answers that redirect to their end, however long they are.
                with session.get(url, timeout=TIMEOUT, stream=True, allow_redirects=False) as answer:
                    if not answer.is_redirect:
                        answer.raise_for_status()
                        content = _content(answer)
                        _check_time(deadline)  # what was broken off looks like an end
                        return content
                    url = requests.compat.urljoin(url, answer.headers["location"])
    except (requests.RequestException, OSError):
        _check_time(deadline)
        raise
    finally:
        clock.cancel()
    raise ValueError(f"it was redirected more than {MOST_REDIRECTIONS} times")


def _check_time(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise ValueError(f"it has not come within {DEADLINE:g} s")


def _content(answer: requests.Response) -> bytes:
    content = b""
    for part in answer.iter_content(16 * 1024):
        content += part
        if len(content) > LONGEST:
            raise ValueError(f"it is longer than {LONGEST} bytes")
    return content


class _GuardedAdapter(HTTPAdapter):
    """Says nothing to a host that may not be asked, and keeps connections in view."""

    def __init__(self, allows: Allows, opened: Opened) -> None:
        self._allows, self._opened = allows, opened
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        kinds = self.poolmanager.pool_classes_by_scheme
        self.poolmanager.pool_classes_by_scheme = {
            scheme: _guarded(self._opened.watching(kind), self._allows) for scheme, kind in kinds.items()
        }


def _guarded(kind: type[HTTPConnectionPool], allows: Allows) -> type[HTTPConnectionPool]:
    """The same kind of pools, with connections to hosts alone that may be asked."""

    class Connection(kind.ConnectionCls):  # type: ignore[name-defined, misc]
        def _new_conn(self) -> Any:
            return _checked(super()._new_conn(), allows)

    class Pool(kind):  # type: ignore[valid-type, misc]
        ConnectionCls = Connection

    return Pool


def _checked(connection: Any, allows: Allows) -> Any:
    address = connection.getpeername()[0]
    if not allows(address):
        connection.close()
        raise ValueError(f"builders do not ask {address}")
    return connection


def parse(text: str) -> configparser.ConfigParser:
    """The sections of a .repo file.

    :raises configparser.Error: it is none
    """
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(text)
    return parser
