# SPDX-License-Identifier: GPL-2.0-or-later
"""Connections, names, expected faults and results for the contract tests."""

from __future__ import annotations

import os
import re
import uuid
import xmlrpc.client
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import koji
import koji.xmlrpcplus
import requests

#: Opens a session for a credential.
Connect = Callable[[str], Any]

#: Seconds given to one raw HTTP request.
HTTP_DEADLINE = 120

#: Options that `buildContainer` accepts, as short as they can be.
OPTIONS: dict[str, Any] = {"git_branch": "main"}

#: A source for tasks that no builder executes.
SOURCE = "git+https://example.com/container/contract#0123456789abcdef0123456789abcdef01234567"


@dataclass(frozen=True)
class HubAccess:
    """URL of the hub and its accounts; each account is `user:password` or the path of a PEM file."""

    url: str
    ca: str | None
    admin: str
    packager: str
    host: str

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> HubAccess:
        return cls(
            url=environ["CONTRACT_HUB_URL"],
            ca=environ.get("CONTRACT_HUB_CA"),
            admin=environ["CONTRACT_HUB_ADMIN"],
            packager=environ["CONTRACT_HUB_PACKAGER"],
            host=environ["CONTRACT_HUB_HOST"],
        )


def is_certificate(credential: str) -> bool:
    return os.path.isfile(credential)


def unauthenticated(access: HubAccess, **options: Any) -> Any:
    """A session that has not logged in."""
    opts = {"serverca": access.ca, "anon_retry": False, "max_retries": 2, "retry_interval": 1, "timeout": 60}
    return koji.ClientSession(access.url, {**opts, "no_ssl_verify": False, **options})


def log_in(session: Any, access: HubAccess, credential: str) -> None:
    """Log in with the method that matches the form of the credential."""
    if is_certificate(credential):
        session.ssl_login(cert=credential, serverca=access.ca)
    else:
        session.opts["user"], _, session.opts["password"] = credential.partition(":")
        session.login()


def new_name(kind: str) -> str:
    """Return a name not yet used on the hub."""
    return f"contract-{kind}-{uuid.uuid4().hex[:12]}"


@contextmanager
def assert_refused(code: int, message: str | re.Pattern[str]) -> Iterator[None]:
    """Assert that the calls inside raise this fault: the whole message as a string, or a pattern to search for."""
    try:
        yield
    except koji.GenericError as error:
        found, text = error.faultCode, str(error)
    except xmlrpc.client.Fault as error:
        found, text = error.faultCode, error.faultString
    else:
        raise AssertionError(f"not refused; expected fault {code}: {message}")
    assert found == code, f"fault {found}: {text}"
    if isinstance(message, str):
        assert text == message
    else:
        assert message.search(text), text


def as_result(value: Any) -> str:
    """Return a task's result in the form accepted by host.closeTask."""
    encoded: str = koji.xmlrpcplus.dumps((value,), methodresponse=1, allow_none=1)
    return encoded


def as_fault(code: int, message: str) -> str:
    """Return a task's failure in the form accepted by host.failTask."""
    encoded: str = koji.xmlrpcplus.dumps(koji.xmlrpcplus.Fault(code, message))
    return encoded


def post(access: HubAccess, body: str, headers: Mapping[str, str] | None = None) -> requests.Response:
    """Send one HTTP request without the client library."""
    sent = {"Content-Type": "text/xml", **(headers or {})}
    return requests.post(access.url, body, headers=sent, verify=access.ca or True, timeout=HTTP_DEADLINE)


def call_with_number(access: HubAccess, session: Any, number: int | None, method: str, *args: Any) -> Any:
    """Call a method in a session with a given call number, or without one."""
    headers = {
        "Koji-Session-Id": str(session.sinfo["session-id"]),
        "Koji-Session-Key": session.sinfo["session-key"],
    }
    if number is not None:
        headers["Koji-Session-Callnum"] = str(number)
    answer = post(access, xmlrpc.client.dumps(args, method, allow_none=True), headers)
    try:
        (result,), _ = xmlrpc.client.loads(answer.text)
    except xmlrpc.client.Fault as fault:
        raise koji.convertFault(fault) from fault
    return result
