# SPDX-License-Identifier: GPL-2.0-or-later
"""Sessions with a hub that does not respond, or is none: what is sent, how long it takes, and the advice."""

from __future__ import annotations

import http.server
import itertools
import logging
import socket
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import koji
import pytest
import requests
from pyrpkg.errors import rpkgError

from fedpkg_container.box.pki import Authority
from fedpkg_container.box.tls_server import tls_server
from fedpkg_container.errors import FedpkgContainerError, LostContactError, NotAuthenticatedError
from fedpkg_container.hub.events import ContactLost, Requesting, Responded
from fedpkg_container.hub.retry import HubRetry
from fedpkg_container.hub.session import (
    CLIENT_TIMEOUT,
    anonymous_session,
    connect,
    hub_errors,
    log_out,
)
from fedpkg_container.model.polling import PollInterval
from tests.support.fake_hub import fake_hub, write_profile
from tests.support.scripted_hub import answering


class Password:
    """rpkg's login with a password."""

    def login_koji_session(self, _: object, session: Any) -> None:
        session.opts.update(user="me", password="x")
        session.login()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory with a Koji profile of the test."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_a_logout_from_a_hub_that_is_gone_is_ignored() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    session = koji.ClientSession(f"http://127.0.0.1:{port}/kojihub", {"max_retries": 1, "retry_interval": 0})
    session.setSession({"session-id": 1, "session-key": "key", "callnum": 0})
    session.logged_in = True
    with pytest.raises(requests.ConnectionError):
        session.logout()
    log_out(session)


def test_nothing_is_sent_after_the_contact_was_lost(home: Path) -> None:
    with fake_hub(home, silent_after="getLoggedInUser") as hub:
        session = connect("koji", Password(), timeout=0.2)
        session.getLoggedInUser()
        with pytest.raises(LostContactError, match="the request timed out"), hub_errors(session.baseurl):
            session.getTaskInfo(1)
        calls = list(hub.calls)
        session.logout()
        assert hub.calls == calls
        assert not session.logged_in


def test_logout_while_the_hub_responds(home: Path) -> None:
    with fake_hub(home) as hub:
        session = connect("koji", Password())
        log_out(session)
        assert hub.calls == ["login", "logout"]


def test_no_request_is_repeated(home: Path) -> None:
    """One attempt, though koji attempts a Kerberos login not at all if it must not retry."""
    attempts = []

    class Kerberos:
        def login_koji_session(self, _: object, session: Any) -> None:
            for _ in range(session.opts["max_retries"]):
                attempts.append(1)
                session._callMethod("sslLogin", [], {}, retry=False)

    with answering(lambda _: b"no XML") as url:
        write_profile(home, url)
        with pytest.raises(LostContactError):
            connect("koji", Kerberos())
    assert attempts == [1]


def _stub(**attributes: object) -> Any:
    return types.SimpleNamespace(logged_in=False, opts={}, **attributes)


@pytest.mark.parametrize(("hub_timeout", "expected"), [(600.0, [15.0] * 4), (20.0, [15.0, 10.0, 1.0])])
def test_one_request_waits_no_longer_than_what_is_left(hub_timeout: float, expected: list[float]) -> None:
    session = _stub()
    clock = itertools.count(step=10)
    timeouts = []

    def request() -> object:
        timeouts.append(session.opts["timeout"])
        if len(timeouts) == 4:
            return 7
        raise requests.ReadTimeout

    retry = HubRetry(
        session, 7, PollInterval(hub_timeout=hub_timeout), None, lambda _: None, lambda: float(next(clock)) / 2
    )
    events = []
    try:
        for event in retry.call(request):
            events.append(event)
    except LostContactError as error:
        assert "no response from the hub" in error.reason
        assert "running" not in error.reason, "unknown, since the hub has never responded"
    assert timeouts == expected
    assert isinstance(events[0], Requesting)
    assert isinstance(events[1], ContactLost)
    assert isinstance(events[-1], Responded) == (hub_timeout == 600.0)
    assert CLIENT_TIMEOUT == 15


def _status(code: int) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return None

    return Handler


def _error(home: Path, server: str, login: Callable[[], object] | None, **options: str) -> FedpkgContainerError:
    write_profile(home, server, **options)
    with pytest.raises(FedpkgContainerError) as caught:
        if login is None:
            session = anonymous_session("koji", timeout=5)
            with hub_errors(session.baseurl):
                session.getTaskInfo(1)
        else:
            connect("koji", Password(), timeout=5)
    return caught.value


@pytest.mark.parametrize("login", [None, Password])
@pytest.mark.parametrize(
    ("code", "reason", "solution"),
    [(404, "HTTP 404 Not Found", "check `server`"), (503, "HTTP 503 Service Unavailable", "try again later")],
)
def test_status_of_a_web_server(home: Path, login: Any, code: int, reason: str, solution: str) -> None:
    authority = Authority(home / "pki")
    with tls_server(_status(code), authority.issue("localhost", server=True)) as address:
        error = _error(home, f"https://{address}/kojihub", login, serverca=str(authority.certificate_path))
    assert error.reason.endswith(reason), error.reason
    assert error.solution.startswith(solution)


@pytest.mark.parametrize("login", [None, Password])
def test_untrusted_certificate(home: Path, login: Any) -> None:
    authority = Authority(home / "pki")
    with tls_server(_status(200), authority.issue("localhost", server=True)) as address:
        error = _error(home, f"https://{address}/kojihub", login)
    assert "its certificate is not trusted" in error.reason
    assert "`serverca`" in error.solution
    assert "network" not in error.solution


@pytest.mark.parametrize("login", [None, Password])
def test_server_that_is_not_a_hub(home: Path, login: Any) -> None:
    with answering(lambda _: b"<html>") as url:
        error = _error(home, url, login)
    assert error.reason.endswith("the server is not a Koji hub")
    assert error.solution.startswith("check `server`")


def test_login_errors_have_no_internals(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What koji 1.36 and rpkg 1.68 raise and log."""

    class Kerberos:
        def login_koji_session(self, _: object, __: object) -> None:
            logging.getLogger("koji").error("(gssapi auth failed: requests_gssapi.exceptions.SPNEGOExchangeError: x)")
            raise rpkgError(
                "Could not auth with koji. Login failed: unable to obtain a session (gssapi auth failed: "
                "requests_gssapi.exceptions.SPNEGOExchangeError: no ticket)\nUse following documentation to debug "
                "kerberos/gssapi auth issues. https://docs.pagure.org/koji/kerberos_gssapi_debug/"
            )

    with fake_hub(home):
        with pytest.raises(NotAuthenticatedError) as caught:
            connect("koji", Kerberos())
    assert caught.value.reason.endswith("rejected the login: no ticket")
    assert "gssapi" not in capfd.readouterr().err


def test_login_error_that_rpkg_hides_is_a_lost_contact(home: Path) -> None:
    """rpkg logs an error of a Kerberos login, and raises another one without the reason."""

    class Kerberos:
        def login_koji_session(self, _: object, session: Any) -> None:
            with pytest.raises(requests.ConnectionError):
                session._callMethod("sslLogin", [], {})
            raise rpkgError("Could not login to http://…")

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    write_profile(home, f"http://127.0.0.1:{port}/kojihub")
    with pytest.raises(LostContactError, match="connection refused"):
        connect("koji", Kerberos())


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("SSLError(1, '[SSL] tlsv1 alert unknown ca (x)')", "it does not accept the client certificate: unknown ca"),
        (
            "SSLError(1, '[SSL] sslv3 alert bad certificate')",
            "it does not accept the client certificate: bad certificate",
        ),
        ("SSLEOFError(8, 'EOF occurred in violation of protocol')", "it closed the connection, which usually means"),
    ],
)
def test_rejected_client_certificate_is_not_a_lost_contact(home: Path, error: str, reason: str) -> None:
    """OpenSSL's texts, in an error of requests, in one of koji, in one of rpkg."""

    class Certificate:
        def login_koji_session(self, _: object, session: Any) -> None:
            session.contact_error = requests.exceptions.SSLError(error)
            raise rpkgError(
                "Could not auth with koji. Login failed: unable to obtain a session (ssl auth failed: "
                f"requests.exceptions.SSLError: HTTPSConnectionPool(host='h'): Max retries exceeded ({error})"
            )

    write_profile(home, "https://127.0.0.1:1/kojihub")
    with pytest.raises(NotAuthenticatedError) as caught:
        connect("koji", Certificate())
    assert f"rejected the login: {reason}" in caught.value.reason
