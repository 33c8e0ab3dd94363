"""Credentials that a program keeps, as docker and podman ask for them (the protocol of docker-credential-helpers).

``docker-credential-NAME get`` reads the name of a server, and writes a JSON object with ``Username`` and ``Secret``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from fedpkg_container.errors import ConfigurationError, FedpkgContainerError, ProgramError
from fedpkg_container.process import run
from fedpkg_container.text import printable_line

#: Seconds: a helper may ask somebody for the word that opens its store.
TIMEOUT = 60.0
#: What the name of a helper may be: a part of a program's name.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
#: The user name beside an identity token, for which registries give others.
_NOBODY = "<token>"
#: What helpers say of a server that they do not know.
_UNKNOWN = "credentials not found"


@dataclass(frozen=True)
class Credentials:
    """A name and a password; the password is never shown."""

    user: str
    password: str = field(repr=False)


def from_helper(path: Path, helper: object, server: str) -> Credentials | None:
    """The credentials that a helper has for a server; None when it has none.

    :param path: the auth file that names it, for errors
    :param helper: its name, without ``docker-credential-``
    :raises ConfigurationError: it is no name, is not there, fails, or answers something else; nothing secret is said
    """
    if not isinstance(helper, str) or not _NAME.fullmatch(helper):
        raise ConfigurationError(
            f"the auth file {path} names a credential helper that cannot be one: {printable_line(str(helper))[:80]!r}",
            solution="name it without docker-credential-",
        )
    program = f"docker-credential-{helper}"
    try:
        answer = run([program, "get"], timeout=TIMEOUT, stdin=server.encode()).stdout
    except ProgramError as error:
        if _UNKNOWN in error.output:
            return None
        raise _failed(program, path, server, printable_line(error.output)[:200]) from None
    except (FedpkgContainerError, OSError) as error:
        raise _failed(program, path, server, getattr(error, "reason", "") or getattr(error, "strerror", "")) from None
    try:
        found = json.loads(answer)
        user, secret = found["Username"], found["Secret"]
    except (ValueError, LookupError, TypeError):
        raise _failed(program, path, server, "it answers something else than a user and a secret") from None
    if user == _NOBODY or not isinstance(user, str) or not isinstance(secret, str):
        raise _failed(program, path, server, "what it has is an identity token, which is not understood")
    return Credentials(user, secret)


def _failed(program: str, path: Path, server: str, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"{program}, which {path} names, gives no credentials for {printable_line(server)}: {reason}",
        solution=f"try it: echo SERVER | {program} get; or keep a password in the file: skopeo login",
    )
