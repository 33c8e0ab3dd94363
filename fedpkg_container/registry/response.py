"""Responses of registries: read with a limit, and turned into errors that show nothing secret."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import requests
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from fedpkg_container.errors import NoSuchImageError, RegistryError, RegistryUnavailableError, WrongContentError
from fedpkg_container.text import printable_line

_CAUSES = re.compile(
    r"(?P<certificate>certificate verify failed: .+?) \(_ssl"
    r"|\[Errno -?[0-9]+\] (?P<error>[\w' -]+)"
    r"|Error\([0-9]+, '(?P<aborted>[\w -]+)'"
    r"|: (?P<late>Read timed out)"
    r"|'(?P<broken>Connection broken)"
)
MAX_CAUSE = 500


def cause_of(said: str) -> str:
    """The cause, as ``Connection refused``, without the objects around it; all that is said when none is known."""
    found = _CAUSES.search(said)
    return printable_line(found[found.lastindex or 0] if found else said)[:MAX_CAUSE]


#: The longest answer that is read whole, bytes, and seconds that it may take altogether.
LONGEST = 64 * 1024 * 1024
LONGEST_TIME = 300.0
#: Bytes that are read at a time (a record of TLS).
PART = 1 << 14
#: Bytes a second: a server that sends less, for as long as it may be silent, is one that does not answer.
SLOWEST = 1024
#: Queries of addresses: storage that registries send to lets in whoever knows them.
_QUERY = re.compile(r"\?[^\s'\")]*")
#: What a registry says of a manifest whose blobs it does not see. docker-registry may not for a moment, while somebody
#: else brings the same blob to the same repository: it writes over the file that says that the blob is there.
_UNSEEN = "MANIFEST_BLOB_UNKNOWN"
#: What OpenSSL says of a server that cannot be trusted, or does not speak TLS.
_MISTRUST = re.compile(r"certificate|hostname|wrong version number|unknown ca", re.IGNORECASE)


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
        except (ValueError, RecursionError) as error:
            raise RegistryError(f"{url} was not answered with JSON") from error
        if not isinstance(content, dict):
            raise RegistryError(f"{url} was not answered with a JSON object")
        return content


@dataclass(frozen=True)
class Stream:
    """An answer whose content is read as it comes, and is to be hashed by who reads it.

    :param status: 200, or 206 for a part
    :param headers: case does not matter
    """

    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes]


def parts(answer: requests.Response, silence: float, *, decoded: bool) -> Iterator[bytes]:
    """The content, as soon as something of it comes; time that is spent between parts does not count.

    :param silence: seconds for which the server may send nothing, or hardly anything
    :param decoded: without what it was encoded with for its way
    :raises RegistryUnavailableError: hardly anything comes
    :raises requests.RequestException, HTTPError, OSError: the connection fails
    """
    # Before urllib3 2.2 there is only what waits for the whole part.
    take = getattr(answer.raw, "read1", answer.raw.read)
    waited, came = 0.0, 0
    while True:
        begun = time.monotonic()
        part = take(PART, decode_content=decoded)
        if not part:
            return
        waited, came = waited + time.monotonic() - begun, came + len(part)
        if waited > silence:
            if came < SLOWEST * waited:
                where = shown(answer.url)
                raise RegistryUnavailableError(f"{where}: only {came} bytes came in {waited:.0f} s")
            waited, came = 0.0, 0
        yield part


def read(answer: requests.Response, method: str, url: str, silence: float, longest: int = LONGEST) -> Answer:
    """The whole answer.

    :param silence: seconds for which the server may send hardly anything
    :param longest: bytes
    :raises RegistryError: it is too long, or takes too long
    """
    deadline, content = time.monotonic() + LONGEST_TIME, bytearray()
    with connection_errors(method, url):
        for part in parts(answer, silence, decoded=True):
            content += part
            if len(content) > longest:
                raise RegistryError(f"{method} {shown(url)}: the answer is longer than {longest} bytes")
            if time.monotonic() > deadline:
                raise RegistryError(f"{method} {shown(url)}: the answer takes longer than {LONGEST_TIME:g} s")
    return Answer(answer.status_code, answer.headers, bytes(content))


def leave(answer: requests.Response) -> None:
    """Be done with an answer; where it is short it is read, so that its connection is used again."""
    length = answer.headers.get("Content-Length", "")
    if len(length) < 6 and length.isdecimal():
        with contextlib.suppress(requests.RequestException, HTTPError, OSError):
            _ = answer.content
    answer.close()


def refusal(host: str, method: str, url: str, answer: Answer) -> RegistryError:
    """An answer that is none of those expected, as an error.

    :param host: the registry
    """
    asked = f"{method} {shown(url)}"
    if answer.status in (401, 403):
        return RegistryError(
            f"{host} refuses {asked} (HTTP {answer.status}){_said(answer)}",
            solution="check the credentials in the auth file",
        )
    if answer.status == 404:
        return NoSuchImageError(f"{asked}: there is no such thing{_said(answer)}")
    reason = f"{asked} was answered with HTTP {answer.status}{_said(answer)}"
    if answer.status == 416:
        return WrongContentError(f"{reason}: there is less of it than came before")
    if answer.status == 429 or answer.status >= 500 or (method == "PUT" and _UNSEEN in _codes(answer)):
        after = _retry_after(answer.headers.get("Retry-After", ""))
        return RegistryUnavailableError(reason, solution="try again later", retry_after=after)
    return RegistryError(reason)


@contextlib.contextmanager
def connection_errors(method: str, url: str, *, halfway: bool = False) -> Iterator[None]:
    """What goes wrong with a connection, as errors that show neither credentials nor headers.

    :param halfway: content was coming, so that to wait is not all that can be done
    :raises RegistryError: the server does not answer in time, or cannot be trusted: asking again would not help
    :raises RegistryUnavailableError: anything else
    """
    try:
        yield
    except (requests.RequestException, HTTPError, OSError) as error:
        reason = f"{method} {shown(url)}: {cause_of(shown(str(error)))}"
        late = not halfway and "timed out" in reason
        lasting = late or isinstance(error, (requests.exceptions.Timeout, requests.exceptions.InvalidURL))
        if isinstance(error, requests.exceptions.SSLError):  # a registry that restarts breaks handshakes off, too
            lasting = _MISTRUST.search(str(error)) is not None
        kind = RegistryError if lasting else RegistryUnavailableError
        raise kind(reason, solution="try again later") from None  # the request, with its headers, is in it


def shown(text: str) -> str:
    """An address, or what has addresses in it, as it may be shown: without queries, which may let somebody in."""
    return _QUERY.sub("", printable_line(text))


def without_queries(record: logging.LogRecord) -> bool:
    """Take from what urllib3 logs what ``shown`` takes from addresses; a filter of a handler."""
    if record.name.startswith("urllib3."):
        record.msg, record.args = shown(record.getMessage()), ()
    return True


def joined(base: str, place: str) -> str:
    """The address that a registry names.

    :param place: whole, or a part that is relative to ``base``
    :raises RegistryError: it is none
    """
    try:
        return urljoin(base, place)
    except ValueError as error:
        raise RegistryError(f"{shown(base)} leads to what is no address: {shown(place)[:200]!r}") from error


def _retry_after(text: str) -> float:
    """For how many seconds a server asks to be left alone: it says so in seconds, or until when (RFC 9110)."""
    try:
        return float(Retry().parse_retry_after(text)) if text else 0.0
    except (HTTPError, ValueError, OverflowError):  # neither, or what no computer can count
        return 0.0


def _said(answer: Answer) -> str:
    """The first errors that a registry gave, as the end of a sentence."""
    said = [f"{each.get('code', '')} {each.get('message', '')}".strip() for each in _errors(answer)]
    return ": " + printable_line("; ".join(said))[:300] if said else ""


def _codes(answer: Answer) -> list[object]:
    return [each.get("code") for each in _errors(answer)]


def _errors(answer: Answer) -> list[dict[str, Any]]:
    """The first errors of an answer; none where it has none."""
    try:
        errors = json.loads(answer.content)["errors"][:3]
        return [each for each in errors if isinstance(each, dict)]
    except (ValueError, LookupError, TypeError, RecursionError):
        return []
