# SPDX-License-Identifier: GPL-2.0-or-later
"""Sessions with a hub: Koji profiles, logins, accounts from the site configuration, and translation of errors.

Accounts are used by builders and for importing base images.
"""

from __future__ import annotations

import configparser
import contextlib
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any, Protocol
from xml.parsers.expat import ExpatError
from xmlrpc.client import Fault, ResponseError

import koji
import requests

from fedpkg_container.errors import ConfigurationError, FedpkgContainerError, LostContactError, NotAuthenticatedError
from fedpkg_container.hub.call_log import log_calls
from fedpkg_container.hub.protocol import HubSession
from fedpkg_container.hub.rows import InvalidResponseError, check_response, check_responses
from fedpkg_container.model.build import SiteUrls
from fedpkg_container.redaction import redact_message, redact_url
from fedpkg_container.text import printable, printable_line, reason_text

_log = logging.getLogger(__name__)

#: Timeout of one request in seconds, and that of a client that a user waits for, as of a logout.
TIMEOUT = 60
CLIENT_TIMEOUT = 15
LOGOUT_TIMEOUT = 3
#: Exceptions of koji's client if no hub responds, or the server is not a hub.
CONNECTION_ERRORS = (requests.exceptions.RequestException, ExpatError, ResponseError, HTTPException)
#: Exceptions of requests for an invalid server URL.
_INVALID_URL = (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema, requests.exceptions.InvalidSchema)

#: What to do about responses that are not those of Koji.
_INVALID = "contact the site's administrators: a proxy or plugin may change the hub's responses"

#: Koji reports connection failures as login errors; these words in the message identify them.
_CONNECTION_FAILURES = ("ConnectionError", "ConnectTimeout", "ReadTimeout", "HTTPError", "ExpatError",
                "certificate verify failed")  # fmt: skip


def profile_options(profile: str) -> dict[str, Any]:
    """Return the options of a Koji profile.

    :raises ConfigurationError: if there is no such profile, or the files cannot be read
    """
    try:
        options: dict[str, Any] = koji.read_config(profile)
    except (koji.ConfigurationError, configparser.Error) as error:
        raise ConfigurationError(
            f"cannot read Koji profile {profile}: {error}",
            solution="install the site's Koji configuration, or fix ~/.koji/config",
        ) from error
    return options


class KojiLogin(Protocol):
    """The part of the site's ``pyrpkg.Commands`` that logs a session in."""

    def login_koji_session(self, koji_config: dict[str, object], session: HubSession, /) -> object:
        """Log a session in as configured by a Koji profile, and rpkg's options."""


class Session(koji.ClientSession):  # type: ignore[misc]  # koji has no type annotations
    """A session that repeats no request, and sends nothing more, not even a logout, to a hub that does not respond."""

    #: Error of the last request if the hub did not respond; None if it did.
    contact_error: BaseException | None = None

    def _callMethod(self, name: str, args: Any, kwargs: Any = None, retry: bool = True) -> Any:  # noqa: ARG002, N802
        try:
            response = super()._callMethod(name, args, kwargs, retry=False)
        except CONNECTION_ERRORS as error:
            self.contact_error = error
            raise
        self.contact_error = None
        if name == "multiCall":
            check_responses(args[0], response)
        else:
            check_response(name, response)
        return response

    def logout(self, session_id: int | None = None) -> None:
        """Log out, also when the session is deleted."""
        if self.contact_error is not None:
            self.setSession(None)
            return
        self.opts["timeout"] = min(self.opts.get("timeout") or TIMEOUT, LOGOUT_TIMEOUT)
        super().logout(session_id)


def connect(profile: str, commands: KojiLogin, *, timeout: float = CLIENT_TIMEOUT) -> HubSession:
    """Return a session, logged in as configured by the Koji profile and rpkg's options.

    Unlike koji's own sessions, it does not retry requests to an unreachable hub: the caller decides how long to retry.

    :param commands: the site's ``pyrpkg.Commands``, whose login method is used
    :param timeout: timeout of one request in seconds
    :raises NotAuthenticatedError: if the hub rejects the login
    :raises LostContactError: if the hub cannot be reached
    """
    options = profile_options(profile)
    session: HubSession = log_calls(Session(options["server"], _session_options(options, timeout)))
    log_in(session, options, commands)
    return session


def log_in(session: HubSession, options: dict[str, Any], commands: KojiLogin) -> None:
    """Log a session in, for the first time or again.

    :param options: options of the Koji profile
    :raises NotAuthenticatedError: if the hub rejects the login
    :raises LostContactError: if the hub cannot be reached
    """
    from pyrpkg.errors import rpkgError  # not at the top: builders use this module, and have no rpkg

    session.setSession(None)
    _log.info("logging in to %s (authtype %s)", redact_url(options["server"]), options.get("authtype") or "default")
    try:
        with hub_errors(options["server"]), _login_errors_at_debug():
            commands.login_koji_session(options, session)
    except (rpkgError, koji.GenericError) as error:
        message = printable(str(error))
        cause = getattr(session, "contact_error", None)
        if isinstance(cause, _INVALID_URL) or any(kind.__name__ in message for kind in _INVALID_URL):
            raise _invalid_server_url(options["server"]) from error
        if not _is_certificate_rejected(cause) and (cause is not None or _is_connection_failure(message)):
            raise _unreachable(options["server"], cause or error) from error
        raise NotAuthenticatedError(
            f"the hub {options['server']} rejected the login: {login_reason(message)}",
            solution="get a new ticket or certificate (fkinit, kinit), and check the Koji profile",
        ) from error


@contextmanager
def _login_errors_at_debug() -> Iterator[None]:
    """Log at DEBUG what koji and rpkg log at ERROR about a login: their lines repeat our error with internals."""

    def note(record: logging.LogRecord) -> bool:
        if record.levelno < logging.ERROR:
            return True
        _log.debug("%s: %s", record.name, redact_message(record.getMessage()))
        return False

    loggers = [logging.getLogger(name) for name in ("koji", "pyrpkg")]
    for logger in loggers:
        logger.addFilter(note)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(note)


def _is_certificate_rejected(cause: BaseException | None) -> bool:
    """Return whether the hub rejected the client certificate: by an alert, or by closing the connection after it."""
    return isinstance(cause, requests.exceptions.SSLError) and "certificate verify failed" not in str(cause)


#: Parts of koji's messages about a login that name Python classes, or refer to documentation for koji's developers.
_LOGIN_INTERNALS = re.compile(
    r"Could not auth with koji\. Login failed: |unable to obtain a session|(?:ssl|gssapi) auth failed: |"
    r"Use following documentation to debug .*|(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*(?:Error|Exception): "
)


def login_reason(message: str) -> str:
    """Return koji's message about a failed login without the names of classes, as one line."""
    if match := _CERTIFICATE_ALERT.search(message):
        return f"it does not accept the client certificate: {match[1].strip()}"
    if "SSLEOFError" in message:
        return "it closed the connection, which usually means that it does not accept the client certificate"
    line = _LOGIN_INTERNALS.sub("", printable_line(message)).strip(" ()\n")
    return line or "no reason given"


#: Reason of a failure if the response is not that of a hub.
NOT_A_HUB = "the server is not a Koji hub"
#: TLS alert of a server that rejects the client's certificate (RFC 8446, 6.2), as OpenSSL names it.
_CERTIFICATE_ALERT = re.compile(r"alert ((?:unknown ca|access denied|[a-z ]*certificate[a-z ]*))")
#: HTTP statuses of the 4xx range after which a retry may succeed.
_RETRYABLE_STATUSES = (408, 429)
_KNOWN_REASONS = ("Connection refused", "Connection reset", "Name or service not known", "Network is unreachable")


def failure_reason(error: BaseException) -> str:
    """Return why a request to a hub failed, as a short phrase."""
    if isinstance(error, LostContactError) and error.__cause__ is not None:
        error = error.__cause__
    message = str(error)
    if isinstance(error, koji.ServerOffline):
        return "it is down for maintenance"
    if isinstance(error, koji.GenericError):
        return printable_line(message)
    if match := re.search(r"certificate verify failed(?:: ([\w -]+))?", message):
        return f"its certificate is not trusted{': ' + match[1].strip() if match[1] else ''}"
    if match := _CERTIFICATE_ALERT.search(message):
        return f"it does not accept the client certificate: {match[1].strip()}"
    if isinstance(error, requests.exceptions.Timeout):
        return "the request timed out"
    if isinstance(error, requests.exceptions.HTTPError) and error.response is not None:
        status = error.response.status_code
        return f"HTTP {status} {HTTPStatus(status).phrase}" if status in set(HTTPStatus) else f"HTTP {status}"
    for words in _KNOWN_REASONS:
        if words.lower() in message.lower():
            return words[0].lower() + words[1:]
    if isinstance(error, (ExpatError, ResponseError)) or "ExpatError" in message:
        return NOT_A_HUB
    return "the connection was interrupted"


def is_permanent(error: BaseException) -> bool:
    """Whether a retry cannot succeed, e.g. after an untrusted certificate or HTTP status 4xx."""
    if isinstance(error, requests.exceptions.HTTPError) and error.response is not None:
        status = error.response.status_code
        return 400 <= status < 500 and status not in _RETRYABLE_STATUSES
    return isinstance(error, (requests.exceptions.SSLError, *_INVALID_URL))


def anonymous_session(profile: str, *, timeout: float = TIMEOUT) -> HubSession:
    """Return a session that is not logged in, for reading; it does not retry requests to an unreachable hub.

    :param timeout: timeout of one request in seconds
    :raises ConfigurationError: if there is no such profile
    """
    options = profile_options(profile)
    session: HubSession = log_calls(Session(options["server"], _session_options(options, timeout)))
    return session


def site_urls(profile: str) -> SiteUrls:
    """Return the web addresses from a Koji profile."""
    options = profile_options(profile)
    return SiteUrls(str(options.get("weburl") or ""), str(options.get("topurl") or ""))


def _session_options(options: dict[str, object], timeout: float) -> dict[str, object]:
    """Return the options of a session; ``max_retries`` is 1, because with 0 no Kerberos login would be attempted."""
    once = {"max_retries": 1, "retry_interval": 0, "anon_retry": False}
    return {**koji.grab_session_options(options), **once, "timeout": timeout, "auth_timeout": timeout}


def _unreachable(server: str, error: BaseException) -> LostContactError:
    return LostContactError(
        f"cannot reach the hub {server}: {failure_reason(error)}", solution=_contact_solution(error)
    )


def _contact_solution(error: BaseException) -> str:
    """Return what to do about a hub that cannot be reached."""
    reason = failure_reason(error)
    if "certificate is not trusted" in reason:
        return (
            "set `serverca` in the Koji profile to the CA of the hub's certificate, or install that CA on this machine"
        )
    if reason == NOT_A_HUB or (is_permanent(error) and reason.startswith("HTTP 4")):
        return "check `server` in the Koji profile: it must be the URL of a Koji hub"
    if "not known" in reason:
        return "check `server` in the Koji profile, and the network"
    if reason.startswith("HTTP "):
        return "try again later; if this persists, contact the site's administrators"
    return "check the network, and try again later"


def _is_connection_failure(message: str) -> bool:
    """Whether the message of a login error reports a connection failure."""
    return any(word in message for word in _CONNECTION_FAILURES)


def _invalid_server_url(server: str) -> ConfigurationError:
    return ConfigurationError(
        f"invalid server URL in the Koji profile: {printable(server)}",
        solution="fix `server` in the Koji profile",
    )


@contextmanager
def hub_errors(server: str) -> Iterator[None]:
    """Translate exceptions of koji's client.

    :raises LostContactError: if the hub did not respond
    :raises ConfigurationError: if the server URL in the profile is invalid
    :raises NotAuthenticatedError: if the session is not logged in, or no longer valid
    :raises FedpkgContainerError: if the hub returned an error
    """
    try:
        yield
    except _INVALID_URL as error:
        raise _invalid_server_url(server) from error
    except CONNECTION_ERRORS as error:
        raise _unreachable(server, error) from error
    except koji.ServerOffline as error:
        raise LostContactError(
            f"the hub {server} is down for maintenance: {error}", solution="try again later"
        ) from error
    except koji.AuthError as error:
        message = printable(str(error))
        if _is_connection_failure(message):
            raise _unreachable(server, error) from error
        raise NotAuthenticatedError(f"the hub {server} requires a login: {message}", solution="log in again") from error
    except InvalidResponseError as error:
        raise FedpkgContainerError(
            f"the hub {server} sent an {printable_line(str(error))}", solution=_INVALID
        ) from error
    except (koji.GenericError, Fault) as error:
        message = printable(str(getattr(error, "faultString", error)))
        raise FedpkgContainerError(f"the hub {server} returned an error: {message}") from error


class Account(Protocol):
    """Credentials of an account from the site configuration.

    If neither a certificate nor a keytab is set, the caller must authenticate in another way.
    """

    @property
    def certificate(self) -> Path | None:
        """PEM file with certificate and key."""

    @property
    def keytab(self) -> Path | None:
        """Keytab of the principal."""

    @property
    def principal(self) -> str:
        """Kerberos principal."""

    @property
    def server_ca(self) -> Path | None:
        """CA of the hub's certificate; None for the system's CAs."""


@dataclass(frozen=True)
class ProfileAccount:
    """The account of the user, as configured by the Koji profile."""

    certificate: Path | None = None
    keytab: Path | None = None
    principal: str = ""
    server_ca: Path | None = None


def log_in_as(session: HubSession, account: Account) -> None:
    """Log a session in with the certificate or keytab of an account."""
    if account.certificate:
        session.ssl_login(str(account.certificate), None, str(account.server_ca) if account.server_ca else None)
    else:
        session.gssapi_login(account.principal, str(account.keytab))


def log_out(session: HubSession) -> None:
    """Log a session out, if the hub responds.

    koji does not repeat this request, and a connection that was idle for longer than the hub keeps it fails.
    """
    with contextlib.suppress(koji.GenericError, *CONNECTION_ERRORS):
        session.logout()


@contextlib.contextmanager
def logged_in(profile: str, account: Account) -> Iterator[HubSession]:
    """Yield a session logged in as an account, or, without credentials, as in the profile; log it out at the end.

    :raises NotAuthenticatedError: if the hub rejects the login
    :raises LostContactError: if the hub cannot be reached
    """
    session, options = anonymous_session(profile), profile_options(profile)
    if account.server_ca:
        session.opts["serverca"] = str(account.server_ca)
    try:
        with hub_errors(session.baseurl):
            if account.certificate or account.keytab:
                log_in_as(session, account)
            elif options.get("authtype") == "ssl":
                session.ssl_login(options["cert"], None, options.get("serverca"))
            else:
                session.gssapi_login(options.get("principal"), options.get("keytab"))
    except (OSError, koji.GenericError) as error:
        raise NotAuthenticatedError(
            f"login to {session.baseurl} failed: {reason_text(error)}",
            solution="check the Koji profile, and [content_generator] in the site configuration; or get a new ticket"
            " (kinit)",
        ) from error
    try:
        yield session
    finally:
        log_out(session)
