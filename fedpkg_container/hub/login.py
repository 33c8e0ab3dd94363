"""Logging in as an account that a site names, with a certificate or a keytab, or as a koji profile says."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import koji
import requests

from fedpkg_container.errors import NotAuthenticatedError
from fedpkg_container.hub.session import anonymous, contact, profile_options
from fedpkg_container.text import printable


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
