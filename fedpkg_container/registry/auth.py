# SPDX-License-Identifier: GPL-2.0-or-later
"""Authorization of registry requests: user and password, or bearer tokens of the registry's token server.

The registry names the scheme in ``WWW-Authenticate``. Tokens are cached per repository and action until the registry
rejects them (distribution's token authentication specification).
"""

from __future__ import annotations

import base64
import logging
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase
from requests.utils import parse_dict_header

from fedpkg_container.errors import RegistryError
from fedpkg_container.registry import credentials
from fedpkg_container.registry.retry import wait_until
from fedpkg_container.text import printable_line

_log = logging.getLogger(__name__)

#: Fetches a token: URL and ``Authorization`` header → HTTP status and the JSON object of the response.
TokenRequest = Callable[[str, str], "tuple[int, Mapping[str, object]]"]


#: Stands for the list of all repositories.
CATALOG = "*"
#: Seconds for which a token is valid if its server does not state it (token authentication specification).
DEFAULT_LIFETIME = 60.0
#: Longest validity that is assumed, seconds: no program waits for longer.
MAX_LIFETIME = 30 * 86400.0


@dataclass(frozen=True)
class IssuedToken:
    """A bearer token.

    :param lifetime: seconds
    """

    token: str = field(repr=False)
    lifetime: float


class AuthorizationHeader(AuthBase):
    """One ``Authorization`` header. Always set, or requests would read credentials from ~/.netrc."""

    def __init__(self, value: str) -> None:
        self._value = value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Set the header of a request."""
        if self._value:
            request.headers["Authorization"] = self._value
        return request


def scope(method: str, repository: str) -> str:
    """Return the scope that a request needs, in the notation of token servers.

    :param repository: its name, or ``CATALOG``
    """
    if repository == CATALOG:
        return "registry:catalog:*"
    actions = {"GET": "pull", "HEAD": "pull", "DELETE": "*"}.get(method, "pull,push")
    return f"repository:{repository}:{actions}"


def _with_named_actions(scopes: Sequence[str], challenge_scope: str) -> list[str]:
    """Return scopes with the registry's name for actions: a deletion is ``delete`` for some, ``*`` for others."""
    named = {item.rpartition(":")[0]: item for item in challenge_scope.split()}
    return [named.get(item.rpartition(":")[0], item) for item in scopes]


class TokenCache:
    """Authorization headers for one registry, cached by scope; thread-safe.

    :param host: the registry
    :param auth_file: credentials; None for the user's own
    """

    def __init__(self, host: str, auth_file: Path | None) -> None:
        self._host = host
        self._auth_file = auth_file
        self._locks: defaultdict[tuple[str, ...], threading.Lock] = defaultdict(threading.Lock)
        self._headers: dict[tuple[str, ...], str] = {}

    def header(self, scopes: Sequence[str]) -> str:
        """Return the cached header for scopes; empty before the registry has sent a challenge."""
        return self._headers.get(tuple(scopes), "")

    def authorize(self, challenge: str, scopes: Sequence[str], refused: str, request_token: TokenRequest) -> str:
        """Return the header that a registry's challenge requires.

        :param challenge: value of ``WWW-Authenticate``
        :param refused: the header that the registry rejected
        :raises RegistryError: if no token is issued
        """
        with self._locks[tuple(scopes)]:
            known = self._headers.get(tuple(scopes), "")
            if known != refused:  # another thread has renewed it
                return known
            self._headers[tuple(scopes)] = header = self._authorization(challenge, scopes, request_token)
            return header

    def _authorization(self, challenge: str, scopes: Sequence[str], request_token: TokenRequest) -> str:
        stored = self._stored_header(_repository(scopes))
        if not is_bearer(challenge) or is_bearer(stored):
            return stored
        return f"Bearer {self._request(challenge, scopes, request_token, stored).token}"

    def issue(self, challenge: str, scopes: Sequence[str], request_token: TokenRequest) -> IssuedToken:
        """Return a new token with the stored credentials.

        :param challenge: value of ``WWW-Authenticate`` that names the token server
        :raises RegistryError: if no token is issued
        """
        return self._request(challenge, scopes, request_token, self._stored_header(_repository(scopes)))

    def _request(
        self, challenge: str, scopes: Sequence[str], request_token: TokenRequest, authorization: str
    ) -> IssuedToken:
        repository = _repository(scopes)
        rest = challenge.partition(" ")[2]
        parameters: dict[str, str | None] = parse_dict_header(rest)  # type: ignore[no-untyped-call]
        realm = parameters.get("realm") or ""
        server = _token_server(realm)
        if not server:
            shown = printable_line(realm)[:200]
            raise RegistryError(f"token server URL of {self._host} is not https: {shown!r}")
        query = {
            "service": parameters.get("service") or "",
            "scope": _with_named_actions(scopes, parameters.get("scope") or ""),
        }
        url = requests.Request("GET", realm, params=query).prepare().url or realm
        status, content = request_token(url, authorization)
        token = content.get("token") or content.get("access_token")
        if status != 200 or not isinstance(token, str) or not token.isprintable():
            resource = f"{self._host}/{repository}".rstrip("/")
            raise RegistryError(
                f"{server} issued no token for {resource} (HTTP {status})",
                solution="check the credentials in the auth file",
            )
        _log.debug("%s issued a token for %s", server, self._host)
        return IssuedToken(token, _lifetime(content.get("expires_in")))

    def await_renewal(
        self, challenge: str, scopes: Sequence[str], refused: str, timeout: float, canceled: threading.Event
    ) -> bool:
        """Wait until an expired token in the auth file has been replaced; return whether it was.

        Returns at once if it already was, if the refused token is not from the auth file, or if it lacks rights.

        :param challenge: value of ``WWW-Authenticate`` in the refusal
        :param refused: header with the token that the registry rejected
        :param timeout: seconds
        """
        parameters: dict[str, str | None] = parse_dict_header(challenge.partition(" ")[2])  # type: ignore[no-untyped-call]
        repository = _repository(scopes)
        lacks_rights = parameters.get("error") == "insufficient_scope"  # RFC 6750; invalid_token or no error otherwise
        # If the file has a token, none is requested: the refused one is this or an earlier one of the file.
        if lacks_rights or not is_bearer(refused) or not is_bearer(self._stored_header(repository)):
            return False

        def is_replaced() -> bool:
            return self._stored_header(repository) not in ("", refused)

        if is_replaced():
            return True
        _log.warning("%s rejected the token, waiting up to %g s for a new one", self._host, timeout)
        return wait_until(is_replaced, timeout, canceled=canceled)

    def _stored_header(self, repository: str) -> str:
        """Return the header for the stored credentials; empty if there are none."""
        stored = credentials.find(f"{self._host}/{repository}".rstrip("/"), self._auth_file)
        if stored is None:
            return ""
        if stored.token:
            return f"Bearer {stored.token}"
        return f"Basic {base64.b64encode(f'{stored.user}:{stored.password}'.encode()).decode()}"


def _lifetime(stated: object) -> float:
    """Return the validity that a token server states, seconds; the default if it is not a valid number."""
    if isinstance(stated, bool) or not isinstance(stated, (int, float)) or not stated >= 0:  # NaN is not
        return DEFAULT_LIFETIME
    return float(min(stated, MAX_LIFETIME))


def is_bearer(header: str) -> bool:
    """Return whether a challenge or an authorization is of the scheme Bearer."""
    return header.partition(" ")[0].lower() == "bearer"


#: Host and port in a prepared URL, with IDNA names. Not all versions of urllib3 refuse others.
_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?")


def _repository(scopes: Sequence[str]) -> str:
    """Return the repository of the first scope that has one; empty if none has."""
    return next((item.split(":")[1] for item in scopes if item.startswith("repository:")), "")


def _token_server(realm: str) -> str:
    """Return host and port of a token server, without user name; empty unless the realm is an HTTPS URL."""
    try:
        parts = urlsplit(realm)
        prepared = urlsplit(requests.Request("GET", realm).prepare().url or "")
    except (ValueError, requests.RequestException):
        return ""
    is_valid = parts.scheme == "https" and _HOST.fullmatch(prepared.netloc.rpartition("@")[2])
    return parts.netloc.rpartition("@")[2] if is_valid else ""
