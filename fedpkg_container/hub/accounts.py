"""Accounts that a site names, for builders and for whoever imports base images: builders have koji, and no rpkg."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol


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
