"""Logging in to a hub with a koji profile, and telling a hub that refuses from one that is not there.

Accounts that a site names, for builders and for whoever imports base images: builders have koji, and no rpkg.

Logging in as an account that a site names, or as a koji profile says.
"""

from __future__ import annotations

import configparser
import contextlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any, Protocol
from xml.parsers.expat import ExpatError
from xmlrpc.client import Fault, ResponseError

import koji
import requests
from pyrpkg.errors import rpkgError

from fedpkg_container.errors import ConfigurationError, FedpkgContainerError, LostContactError, NotAuthenticatedError
from fedpkg_container.model.build import Addresses
from fedpkg_container.text import printable, printable_line

#: Seconds for one request.
TIMEOUT = 60
#: What koji's client raises when no hub answers, or something that is no hub.
UNREACHABLE = (requests.exceptions.RequestException, ExpatError, ResponseError, HTTPException)
#: What requests raises for a server that is no address.
_NO_ADDRESS = (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema, requests.exceptions.InvalidSchema)

#: Koji hides a failed connection in the text of its login error; these words give it away.
_NO_CONTACT = ("ConnectionError", "ConnectTimeout", "ReadTimeout", "HTTPError", "ExpatError",
                "certificate verify failed")  # fmt: skip


def profile_options(profile: str) -> dict[str, Any]:
    """A koji profile.

    :raises ConfigurationError: there is none of that name, or the files cannot be read
    """
    try:
        options: dict[str, Any] = koji.read_config(profile)
    except (koji.ConfigurationError, configparser.Error) as error:
        raise ConfigurationError(
            f"koji profile {profile} cannot be read: {error}",
            solution="install the site's koji configuration, or mend ~/.koji/config",
        ) from error
    return options


def connect(profile: str, commands: Any) -> Any:
    """A session, logged in as the profile and rpkg's options say.

    Unlike koji's own it does not hang on a hub that is gone: who calls decides how long to try.

    :param commands: the site's ``pyrpkg.Commands``, whose login is used
    :raises NotAuthenticatedError: the hub does not know who is asking
    :raises LostContactError: there is no hub
    """
    options = profile_options(profile)
    session = koji.ClientSession(options["server"], _settings(options))
    log_in(session, options, commands)
    return session


def log_in(session: Any, options: dict[str, Any], commands: Any) -> None:
    """Log a session in, for the first time or again.

    :param options: of the koji profile
    :raises NotAuthenticatedError: the hub does not know who is asking
    :raises LostContactError: there is no hub
    """
    session.setSession(None)
    try:
        with contact(options["server"]):
            commands.login_koji_session(options, session)
    except (rpkgError, koji.GenericError) as error:
        said = printable(str(error))
        if any(kind.__name__ in said for kind in _NO_ADDRESS):
            raise _no_address(options["server"]) from error
        if _tells_of_no_contact(said):
            raise _unreachable(options["server"], error) from error
        raise NotAuthenticatedError(
            f"the hub {options['server']} refuses the login: {said}",
            solution="get a new certificate or ticket (fkinit, kinit), and see the koji profile",
        ) from error


#: Answers that say that asking again may help.
_PASSING = (408, 429)
_SAYINGS = ("Connection refused", "Connection reset", "Name or service not known", "Network is unreachable")


def reason_of(error: BaseException) -> str:
    """Why a hub does not answer, in a few words."""
    if isinstance(error, LostContactError) and error.__cause__ is not None:
        error = error.__cause__
    said = str(error)
    if isinstance(error, koji.ServerOffline):
        return "it is down for maintenance"
    if isinstance(error, koji.GenericError):
        return printable_line(said)
    if found := re.search(r"certificate verify failed(?:: ([\w -]+))?", said):
        return f"its certificate is not trusted{': ' + found[1].strip() if found[1] else ''}"
    if isinstance(error, requests.exceptions.Timeout):
        return "it took too long"
    if isinstance(error, requests.exceptions.HTTPError) and error.response is not None:
        return f"HTTP {error.response.status_code}"
    for words in _SAYINGS:
        if words.lower() in said.lower():
            return words[0].lower() + words[1:]
    if isinstance(error, (ExpatError, ResponseError)) or "ExpatError" in said:
        return "what answers is no Koji hub"
    return "the connection broke"


def is_lasting(error: BaseException) -> bool:
    """Whether asking again cannot help: a certificate that is refused, an answer 4xx."""
    if isinstance(error, requests.exceptions.HTTPError) and error.response is not None:
        status = error.response.status_code
        return 400 <= status < 500 and status not in _PASSING
    return isinstance(error, (requests.exceptions.SSLError, *_NO_ADDRESS))


def anonymous(profile: str, *, timeout: float = TIMEOUT) -> Any:
    """A session that is not logged in, for reading; it gives up at once on a hub that is gone.

    :param timeout: seconds for one request
    :raises ConfigurationError: there is no such profile
    """
    options = profile_options(profile)
    return koji.ClientSession(options["server"], {**_settings(options), "timeout": timeout})


def addresses(profile: str) -> Addresses:
    """The web addresses of a profile's site."""
    options = profile_options(profile)
    return Addresses(str(options.get("weburl") or ""), str(options.get("topurl") or ""))


def _settings(options: dict[str, Any]) -> dict[str, Any]:
    return {**koji.grab_session_options(options), "max_retries": 0, "anon_retry": False, "timeout": TIMEOUT}


def _unreachable(server: str, error: BaseException) -> LostContactError:
    return LostContactError(
        f"the hub {server} cannot be reached: {reason_of(error)}", solution="check the network, and try again later"
    )


def _tells_of_no_contact(said: str) -> bool:
    """Whether a login error is one of the connection."""
    return any(word in said for word in _NO_CONTACT)


def _no_address(server: str) -> ConfigurationError:
    return ConfigurationError(
        f"the koji profile names a server that is no address: {printable(server)}",
        solution="mend server in the profile",
    )


@contextmanager
def contact(server: str) -> Iterator[None]:
    """Turn what koji's client raises into our errors.

    :raises LostContactError: the hub did not answer
    :raises ConfigurationError: the profile's server is no address
    :raises NotAuthenticatedError: the session is not, or no longer, known there
    :raises FedpkgContainerError: the hub answered with a fault
    """
    try:
        yield
    except _NO_ADDRESS as error:
        raise _no_address(server) from error
    except UNREACHABLE as error:
        raise _unreachable(server, error) from error
    except koji.ServerOffline as error:
        raise LostContactError(
            f"the hub {server} is down for maintenance: {error}", solution="try again later"
        ) from error
    except koji.AuthError as error:
        said = printable(str(error))
        if _tells_of_no_contact(said):
            raise _unreachable(server, error) from error
        raise NotAuthenticatedError(f"the hub {server} refuses: {said}", solution="log in again") from error
    except (koji.GenericError, Fault) as error:
        said = printable(str(getattr(error, "faultString", error)))
        raise FedpkgContainerError(f"the hub {server} answers with an error: {said}") from error


class Account(Protocol):
    """Somebody who may log in.

    Neither a certificate nor a keytab: whoever else is asked about it has to know.
    """

    @property
    def certificate(self) -> Path | None:
        """A PEM file with certificate and key."""

    @property
    def keytab(self) -> Path | None:
        """A keytab of the principal."""

    @property
    def principal(self) -> str:
        """Its name, for Kerberos."""

    @property
    def server_ca(self) -> Path | None:
        """The authority of the hub's certificate; None: the system's."""


def log_in_as(session: Any, account: Account) -> None:
    """Log a session in as an account that has a certificate or a keytab."""
    if account.certificate:
        session.ssl_login(str(account.certificate), None, str(account.server_ca) if account.server_ca else None)
    else:
        session.gssapi_login(account.principal, str(account.keytab))


@contextlib.contextmanager
def logged_in(profile: str, account: Account) -> Iterator[Any]:
    """A session of an account, or without one of whoever the profile says; it is logged out at the end.

    :raises NotAuthenticatedError: the hub does not know who is asking
    :raises LostContactError: there is no hub
    """
    session, options = anonymous(profile), profile_options(profile)
    if account.server_ca:
        session.opts["serverca"] = str(account.server_ca)
    try:
        with contact(session.baseurl):
            if account.certificate or account.keytab:
                log_in_as(session, account)
            elif options.get("authtype") == "ssl":
                session.ssl_login(options["cert"], None, options.get("serverca"))
            else:
                session.gssapi_login(options.get("principal"), options.get("keytab"))
    except (OSError, koji.GenericError) as error:
        raise NotAuthenticatedError(
            f"logging in to {session.baseurl} failed: {printable(str(error))}",
            solution="check [content_generator], or get a new ticket (kinit)",
        ) from error
    try:
        yield session
    finally:
        with contextlib.suppress(koji.GenericError, requests.RequestException):
            session.logout()
