# SPDX-License-Identifier: GPL-2.0-or-later
"""Download and parsing of ``.repo`` files."""

from __future__ import annotations

import configparser
import logging
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from fedpkg_container.errors import FedpkgContainerError, RefusedError
from fedpkg_container.model.limits import Deadline
from fedpkg_container.model.options import repo_url_problem
from fedpkg_container.redaction import redact_url
from fedpkg_container.registry.address_guard import AddressGuard, ClosedAddressError
from fedpkg_container.registry.request_log import logged_request
from fedpkg_container.registry.response import root_cause
from fedpkg_container.registry.session import OpenSockets
from fedpkg_container.text import printable_line, reason_text, strip_credentials

_log = logging.getLogger(__name__)

#: Seconds for connecting and for each read, and for the whole file.
REQUEST_TIMEOUT = 30
FILE_TIMEOUT = 120
MAX_BYTES = 1024 * 1024
MAX_REDIRECTS = 5

_SOLUTION = "pass the http(s) URL of a .repo file to --repo-url"


def fetch_repo_file(url: str, *, guard: AddressGuard | None = None, deadline: Deadline | None = None) -> str:
    """Return the contents of a .repo file.

    :param guard: addresses that may be connected to, after redirects too; None for all
    :param deadline: end of all downloads; None for only the timeout of this file
    :raises RefusedError: if the file cannot be read
    :raises BuildFailedError: if the deadline has passed
    """
    problem = repo_url_problem(url)
    if problem:
        raise RefusedError(
            f"cannot read {_redacted(url)} as a .repo file: its URL {problem}",
            solution=_SOLUTION,
        )
    file_deadline = Deadline("fetching it", FILE_TIMEOUT, error=_FileTimeoutError)
    try:
        text = _fetch(url, guard, deadline.within(file_deadline) if deadline else file_deadline).decode()
        parser = parse_repo_file(text)
        _log.info("fetched .repo file %s with %d repositories", redact_url(url), len(parser.sections()))
    except configparser.Error as error:  # its message would disclose the response
        raise _read_error(url, "it has no sections with options") from error
    except (ClosedAddressError, _FileTimeoutError) as error:
        raise _read_error(url, error.reason) from error
    except (requests.RequestException, HTTPError, OSError, ValueError) as error:
        raise _read_error(url, root_cause(reason_text(error))) from error
    return text


class _FileTimeoutError(FedpkgContainerError):
    """The timeout of the file has passed."""


def _read_error(url: str, reason: str) -> RefusedError:
    return RefusedError(
        f"cannot read {_redacted(url)} as a .repo file: {_redacted(reason)}",
        solution=_SOLUTION,
    )


def _redacted(text: str) -> str:
    return strip_credentials(printable_line(text))


def _fetch(url: str, guard: AddressGuard | None, deadline: Deadline) -> bytes:
    opened = OpenSockets()
    # Servers may send single bytes forever, even of a header: the deadline is for the whole response.
    with deadline.enforced(opened.shutdown), requests.Session() as session:
        if guard is not None:
            session.trust_env = False  # no proxy, which would bypass the guard, and no .netrc of root
        for scheme in ("http://", "https://"):
            session.mount(scheme, _Adapter(opened, guard))
        for _ in range(MAX_REDIRECTS):
            # Followed here: requests would read redirect responses completely, however long they are.
            with logged_request("GET", url) as outcome:
                response = session.get(url, timeout=REQUEST_TIMEOUT, stream=True, allow_redirects=False)
                outcome.set(response.status_code)
            with response:
                if not response.is_redirect:
                    response.raise_for_status()
                    return _read_body(response)
                url = requests.compat.urljoin(url, response.headers["location"])
    raise ValueError(f"more than {MAX_REDIRECTS} redirects")


def _read_body(response: requests.Response) -> bytes:
    content = b""
    for chunk in response.iter_content(16 * 1024):
        content += chunk
        if len(content) > MAX_BYTES:
            raise ValueError(f"it is longer than {MAX_BYTES} bytes")
    return content


class _Adapter(HTTPAdapter):
    """Connects only to addresses that the guard allows, and tracks connections."""

    def __init__(self, opened: OpenSockets, guard: AddressGuard | None) -> None:
        self._opened, self._guard = opened, guard
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        classes = self.poolmanager.pool_classes_by_scheme
        self.poolmanager.pool_classes_by_scheme = {
            scheme: self._opened.pool_class(pool_class, self._guard) for scheme, pool_class in classes.items()
        }


def parse_repo_file(text: str) -> configparser.ConfigParser:
    """Parse a .repo file.

    :raises configparser.Error: if it is not a valid one
    """
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(text)
    return parser
