"""Fetching ``.repo`` files."""

from __future__ import annotations

import configparser
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from fedpkg_container.errors import FedpkgContainerError, RefusedError
from fedpkg_container.model.limits import Deadline
from fedpkg_container.model.options import repo_url_problem
from fedpkg_container.registry.address_guard import AddressGuard, ClosedAddressError
from fedpkg_container.registry.session import Opened
from fedpkg_container.text import printable_line, without_credentials

#: Seconds for connecting and for each answer, and for the whole file.
REQUEST_TIMEOUT = 30
FILE_TIMEOUT = 120
#: The longest file, bytes.
MAX_BYTES = 1024 * 1024
MAX_REDIRECTS = 5


def fetch_repo_file(url: str, *, guard: AddressGuard | None = None, deadline: Deadline | None = None) -> str:
    """The text of a .repo file.

    :param guard: which addresses are connected to, of the URL and of redirections; None: any
    :param deadline: of all that is fetched; None: the file's own alone
    :raises RefusedError: it cannot be read
    :raises BuildFailedError: the deadline has passed
    """
    problem = repo_url_problem(url)
    if problem:
        raise RefusedError(
            f"{_redacted(url)} cannot be read as a .repo file: its URL {problem}",
            solution="give --repo-url the http(s) URL of one",
        )
    file_deadline = Deadline("fetching it", FILE_TIMEOUT, error=_FileTimeoutError)
    try:
        text = _fetch(url, guard, deadline.within(file_deadline) if deadline else file_deadline).decode()
        parse_repo_file(text)
    except configparser.Error as error:  # its own words would show what the answer was
        raise _read_error(url, "it has no sections with values in them") from error
    except (ClosedAddressError, _FileTimeoutError) as error:
        raise _read_error(url, error.reason) from error
    except (requests.RequestException, HTTPError, OSError, ValueError) as error:
        raise _read_error(url, str(error)) from error
    return text


class _FileTimeoutError(FedpkgContainerError):
    """The file's own time has passed."""


def _read_error(url: str, reason: str) -> RefusedError:
    return RefusedError(
        f"{_redacted(url)} cannot be read as a .repo file: {_redacted(reason)}",
        solution="give --repo-url the http(s) URL of one",
    )


def _redacted(text: str) -> str:
    return without_credentials(printable_line(text))


def _fetch(url: str, guard: AddressGuard | None, deadline: Deadline) -> bytes:
    opened = Opened()
    # A server may send a byte now and then, of a header too: what counts is the time for all of it.
    with deadline.enforced(opened.cut), requests.Session() as session:
        if guard is not None:
            session.trust_env = False  # no proxy, which would connect for us, and nothing of root's .netrc
        for scheme in ("http://", "https://"):
            session.mount(scheme, _Adapter(opened, guard))
        for _ in range(MAX_REDIRECTS):
            # Followed here: the library would read the answers that redirect to their end, however long they are.
            with session.get(url, timeout=REQUEST_TIMEOUT, stream=True, allow_redirects=False) as response:
                if not response.is_redirect:
                    response.raise_for_status()
                    return _read_body(response)
                url = requests.compat.urljoin(url, response.headers["location"])
    raise ValueError(f"it was redirected more than {MAX_REDIRECTS} times")


def _read_body(response: requests.Response) -> bytes:
    content = b""
    for chunk in response.iter_content(16 * 1024):
        content += chunk
        if len(content) > MAX_BYTES:
            raise ValueError(f"it is longer than {MAX_BYTES} bytes")
    return content


class _Adapter(HTTPAdapter):
    """Connects to addresses that the guard allows, and keeps connections in view."""

    def __init__(self, opened: Opened, guard: AddressGuard | None) -> None:
        self._opened, self._guard = opened, guard
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        classes = self.poolmanager.pool_classes_by_scheme
        self.poolmanager.pool_classes_by_scheme = {
            scheme: self._opened.watching(pool_class, self._guard) for scheme, pool_class in classes.items()
        }


def parse_repo_file(text: str) -> configparser.ConfigParser:
    """The sections of a .repo file.

    :raises configparser.Error: it is none
    """
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(text)
    return parser
