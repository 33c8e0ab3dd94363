"""What authorizes requests to a registry: a name and password, or tokens that its server gives for them.

The registry says which (``WWW-Authenticate``); it is asked once, and tokens are kept for each repository and action
until the registry takes one no longer (distribution's token authentication specification).
"""

from __future__ import annotations

import base64
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import requests
from requests.utils import parse_dict_header

from fedpkg_container.errors import RegistryError
from fedpkg_container.registry import credentials
from fedpkg_container.text import printable_line

#: Asks a server of tokens: address and ``Authorization``; status and the object that came.
Ask = Callable[[str, str], "tuple[int, Mapping[str, object]]"]


#: What stands for the list of all repositories.
CATALOG = "*"


def scope(method: str, repository: str) -> str:
    """What a request needs to be allowed, as servers of tokens name it.

    :param repository: or ``CATALOG``
    """
    if repository == CATALOG:
        return "registry:catalog:*"
    actions = {"GET": "pull", "HEAD": "pull", "DELETE": "*"}.get(method, "pull,push")
    return f"repository:{repository}:{actions}"


def _named(scopes: Sequence[str], told: str) -> list[str]:
    """Scopes with the actions that the registry names for them: some call a deletion ``delete``, others ``*``."""
    known = {each.rpartition(":")[0]: each for each in told.split()}
    return [known.get(each.rpartition(":")[0], each) for each in scopes]


class Authorizations:
    """What authorizes requests to one registry; for several threads.

    :param host: the registry
    :param auth_file: credentials; None for the user's own
    """

    def __init__(self, host: str, auth_file: Path | None) -> None:
        self._host = host
        self._auth_file = auth_file
        self._locks: defaultdict[tuple[str, ...], threading.Lock] = defaultdict(threading.Lock)
        self._headers: dict[tuple[str, ...], str] = {}

    def header(self, scopes: Sequence[str]) -> str:
        """The header for a request; empty when nothing was asked for yet."""
        return self._headers.get(tuple(scopes), "")

    def answer(self, challenge: str, scopes: Sequence[str], refused: str, ask: Ask) -> str:
        """The header that a registry asked for.

        :param challenge: its ``WWW-Authenticate``
        :param refused: the header with which it was asked
        :raises RegistryError: there is none
        """
        with self._locks[tuple(scopes)]:
            known = self._headers.get(tuple(scopes), "")
            if known != refused:  # another thread was faster
                return known
            self._headers[tuple(scopes)] = made = self._made(challenge, scopes, ask)
            return made

    def _made(self, challenge: str, scopes: Sequence[str], ask: Ask) -> str:
        kind, _, rest = challenge.partition(" ")
        repository = next((each.split(":")[1] for each in scopes if each.startswith("repository:")), "")
        basic = self._basic(repository)
        if kind.lower() != "bearer":
            return basic
        wanted: dict[str, str | None] = parse_dict_header(rest)  # type: ignore[no-untyped-call]
        realm = wanted.get("realm") or ""
        server = _server(realm)
        if not server:
            shown = printable_line(realm)[:200]
            raise RegistryError(f"{self._host} names no server for tokens that can be trusted: {shown!r}")
        asked = {"service": wanted.get("service") or "", "scope": _named(scopes, wanted.get("scope") or "")}
        url = requests.Request("GET", realm, params=asked).prepare().url or realm
        status, found = ask(url, basic)
        token = found.get("token") or found.get("access_token")
        if status != 200 or not isinstance(token, str) or not token.isprintable():
            wanted_for = f"{self._host}/{repository}".rstrip("/")
            raise RegistryError(
                f"{server} gives no token for {wanted_for} (HTTP {status})",
                solution="check the credentials in the auth file",
            )
        return f"Bearer {token}"

    def _basic(self, repository: str) -> str:
        known = credentials.find(f"{self._host}/{repository}".rstrip("/"), self._auth_file)
        return f"Basic {base64.b64encode(f'{known.user}:{known.password}'.encode()).decode()}" if known else ""


def _server(realm: str) -> str:
    """Return host and port of a token server; empty for what is not an HTTPS URL."""
    try:
        parts = urlsplit(realm)
        requests.Request("GET", realm).prepare()
    except (ValueError, requests.RequestException):
        return ""
    return parts.netloc if parts.scheme == "https" else ""
