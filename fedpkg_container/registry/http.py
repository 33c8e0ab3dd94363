"""What skopeo has no command for, said to a registry over HTTP (OCI distribution spec 1.1): with its authentication."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.utils import parse_dict_header
from urllib3.util import Retry

from fedpkg_container.errors import NoSuchImageError, RegistryError
from fedpkg_container.registry import credentials
from fedpkg_container.text import printable_line

#: Seconds until a registry must have begun to answer, and between two parts of an answer.
TIMEOUT = 60.0
#: The longest answer that is read, bytes, and seconds that it may take altogether.
LONGEST = 64 * 1024 * 1024
LONGEST_TIME = 300.0
#: Where podman and docker keep certificates of registries, when no folder is named.
_CERTIFICATES = (Path("/etc/containers/certs.d"), Path("/etc/docker/certs.d"))


@dataclass(frozen=True)
class Answer:
    """What a registry answered.

    :param status: of HTTP
    :param headers: case does not matter
    """

    status: int
    headers: Mapping[str, str]
    content: bytes

    def json(self, url: str) -> dict[str, Any]:
        """The object that was answered.

        :raises RegistryError: it is none
        """
        try:
            content = json.loads(self.content)
        except ValueError as error:
            raise RegistryError(f"{url} was not answered with JSON") from error
        if not isinstance(content, dict):
            raise RegistryError(f"{url} was not answered with a JSON object")
        return content


class _Header(AuthBase):
    """One header for one request. It is always set, or requests would look for credentials in ~/.netrc."""

    def __init__(self, value: str) -> None:
        self._value = value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._value:
            request.headers["Authorization"] = self._value
        return request


class RegistryHTTP:
    """Requests to one registry; what authorizes them is asked for once for each repository and action.

    :param host: the registry, host and port
    :param certificates: folder with ``ca.crt``, ``*.cert`` and ``*.key``; None: where podman keeps them
    :param auth_file: credentials; None for the user's own
    """

    def __init__(self, host: str, *, certificates: Path | None, auth_file: Path | None) -> None:
        self.host = host
        self._auth_file = auth_file
        self._authorizations: dict[str, str] = {}
        self._authority, self._own = _tls(host, certificates)
        self._session = requests.Session()
        # Retried: what a proxy answers while the registry is busy. One that does not answer is not waited for again.
        retries = Retry(3, connect=0, read=0, backoff_factor=0.5, status_forcelist=(429, 502, 503))
        retries.raise_on_status = retries.respect_retry_after_header = False
        self._session.mount("https://", HTTPAdapter(max_retries=retries))

    def __enter__(self) -> RegistryHTTP:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        repository: str = "",
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        expected: tuple[int, ...] = (200,),
    ) -> Answer:
        """Ask, and authenticate when that is asked for.

        :param path: below the registry, or a whole address on it
        :param repository: of which the request is, without the registry; empty for the catalog
        :param expected: statuses that are no errors
        :raises NoSuchImageError: there is no such thing (404)
        :raises RegistryError: the registry cannot be reached, or refuses
        """
        url = urljoin(f"https://{self.host}", path)
        if urlsplit(url)[:2] != ("https", self.host):
            raise RegistryError(f"{self.host} sends on to another server: {printable_line(url)[:200]}")
        actions = "pull" if method in ("GET", "HEAD") else "pull,push"
        scope = f"repository:{repository}:{actions}" if repository else "registry:catalog:*"
        answer = self._send(method, url, headers, content, self._authorizations.get(scope, ""))
        if answer.status == 401 and scope not in self._authorizations:
            self._authorizations[scope] = self._authorize(answer, repository, scope)
            answer = self._send(method, url, headers, content, self._authorizations[scope])
        if answer.status in expected:
            return answer
        shown = f"{method} {url.partition('?')[0]}"
        if answer.status in (401, 403):
            raise RegistryError(
                f"{self.host} refuses {shown} (HTTP {answer.status})", solution="check the credentials in the auth file"
            )
        if answer.status == 404:
            raise NoSuchImageError(f"{shown}: there is no such thing")
        raise RegistryError(f"{shown} was answered with HTTP {answer.status}{_said(answer)}")

    def _send(
        self, method: str, url: str, headers: Mapping[str, str] | None, content: bytes | None, authorization: str
    ) -> Answer:
        try:
            with self._session.request(
                method,
                url,
                headers=dict(headers or {}),
                data=content,
                timeout=TIMEOUT,
                # Given with each request: a session's own would yield to REQUESTS_CA_BUNDLE.
                verify=self._authority,
                cert=self._own,
                auth=_Header(authorization),
                stream=True,
            ) as answer:
                read = _read(answer)
        except (requests.RequestException, OSError) as error:
            where = f"{method} {url.partition('?')[0]}"
            raise RegistryError(
                f"{where}: {printable_line(str(error))[:500]}", solution="try again later"
            ) from None  # the request, with its headers, is in what it comes from
        return Answer(answer.status_code, answer.headers, read)

    def _authorize(self, refusal: Answer, repository: str, scope: str) -> str:
        """The header that a registry asked for: the name and password, or a token that its server gives for them."""
        kind, _, rest = refusal.headers.get("WWW-Authenticate", "").partition(" ")
        known = credentials.find(f"{self.host}/{repository}".rstrip("/"), self._auth_file)
        basic = f"Basic {base64.b64encode(f'{known.user}:{known.password}'.encode()).decode()}" if known else ""
        if kind.lower() != "bearer":
            return basic
        wanted: dict[str, str | None] = parse_dict_header(rest)  # type: ignore[no-untyped-call]
        realm = wanted.get("realm") or ""
        if urlsplit(realm).scheme != "https":
            raise RegistryError(f"{self.host} names no server for tokens that can be trusted: {realm[:200]!r}")
        asked = {"service": wanted.get("service") or "", "scope": wanted.get("scope") or scope}
        url = requests.Request("GET", realm, params=asked).prepare().url or realm
        answer = self._send("GET", url, None, None, basic)
        token = answer.json(realm) if answer.status == 200 else {}
        text = token.get("token") or token.get("access_token")
        if not isinstance(text, str):
            raise RegistryError(
                f"{urlsplit(realm).netloc} gives no token for {self.host}/{repository} (HTTP {answer.status})",
                solution="check the credentials in the auth file",
            )
        return f"Bearer {text}"


def _read(answer: requests.Response) -> bytes:
    """The whole answer.

    :raises OSError: it is too long, or takes too long
    """
    deadline, read = time.monotonic() + LONGEST_TIME, bytearray()
    for part in answer.iter_content(1 << 16):
        read += part
        if len(read) > LONGEST:
            raise OSError(f"the answer is longer than {LONGEST} bytes")
        if time.monotonic() > deadline:
            raise OSError(f"the answer takes longer than {LONGEST_TIME:g} s")
    return bytes(read)


def _said(answer: Answer) -> str:
    """The first error that a registry gave, as the end of a sentence."""
    try:
        first = json.loads(answer.content)["errors"][0]
        return ": " + printable_line(f"{first.get('code', '')} {first.get('message', '')}".strip())[:300]
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""


def _tls(host: str, certificates: Path | None) -> tuple[str | bool, tuple[str, str] | None]:
    """What the registry's certificate is checked with, and the certificate and key that are shown to it."""
    folders = [certificates] if certificates else [folder / host for folder in _CERTIFICATES]
    folder = next((each for each in folders if each.is_dir()), None)
    if folder is None:
        return True, None
    authority = folder / "ca.crt"
    pairs = [(each, each.with_suffix(".key")) for each in sorted(folder.glob("*.cert"))]
    own = next(((str(cert), str(key)) for cert, key in pairs if key.exists()), None)
    return str(authority) if authority.exists() else True, own
