"""Logging in as an account that a site names, or as a koji profile says."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import koji
import requests

from fedpkg_container.errors import NotAuthenticatedError
from fedpkg_container.hub.accounts import Account, log_in_as
from fedpkg_container.hub.session import anonymous, contact, profile_options
from fedpkg_container.text import printable


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
