"""Credentials for a registry: from the auth file that podman, skopeo and docker share, or from a credential helper."""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedpkg_container.errors import ConfigurationError, FedpkgContainerError, ProgramError
from fedpkg_container.process import run
from fedpkg_container.text import printable_line

#: Docker's registry, whose images are named by another host than the one that answers; its clients use all of these.
DOCKER, _DOCKER_API = "docker.io", "registry-1.docker.io"
_DOCKER_NAMES = frozenset({DOCKER, "index.docker.io", _DOCKER_API})


def plain(host: str) -> str:
    """A host as it is compared: in lower case, without the port that goes without saying, by one of its names."""
    host = host.lower()
    host = host[: -len(":443")] if host.endswith(":443") else host
    return DOCKER if host in _DOCKER_NAMES else host


def api(host: str) -> str:
    """The host, with its port, at which a registry answers."""
    return _DOCKER_API if plain(host) == DOCKER else host


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


def find(repository: str, auth_file: Path | None) -> Credentials | None:
    """The credentials for a repository: those of the longest name that it begins with; None when there are none.

    A credential helper is asked that the file names for the registry (``credHelpers``), or for all that is not in it
    itself (``credsStore``).

    :param repository: with its registry, ``registry.example.org/fedora/hello``
    :param auth_file: None for the user's own files
    :raises ConfigurationError: the file cannot be read, or a helper fails; nothing secret is in the message
    """
    repository = _compared(repository)
    for path in [auth_file] if auth_file else _usual():
        found = _in_file(path, _content(path, required=auth_file is not None), repository)
        if found:
            return found
    return None


def _in_file(path: Path, content: Mapping[str, Any], repository: str) -> Credentials | None:
    registry = repository.partition("/")[0]
    for name, helper in _table(content, "credHelpers").items():
        if _compared(name) == registry:
            return from_helper(path, helper, name)
    entries = {_compared(name): each for name, each in _table(content, "auths").items()}
    for name in _names(repository):
        if entries.get(name):
            return _decoded(path, name, entries[name])
    return from_helper(path, content["credsStore"], _server(registry)) if content.get("credsStore") else None


def _usual() -> Iterator[Path]:
    """Where the credentials of the user are, in the order in which skopeo looks."""
    if os.environ.get("REGISTRY_AUTH_FILE"):
        yield Path(os.environ["REGISTRY_AUTH_FILE"])
        return
    run = os.environ.get("XDG_RUNTIME_DIR")
    yield Path(run or f"/run/containers/{os.getuid()}") / ("containers/auth.json" if run else "auth.json")
    yield Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "containers" / "auth.json"
    yield Path.home() / ".docker" / "config.json"


def _names(repository: str) -> Iterator[str]:
    """The repository, then each name that stands before a slash in it, the registry last."""
    name = repository
    while name:
        yield name
        name = name.rpartition("/")[0]


def _content(path: Path, *, required: bool) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        if not required:
            return {}
        raise ConfigurationError(f"there is no auth file {path}", solution="make it: skopeo login") from None
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"the auth file {path} cannot be read: {type(error).__name__}", solution="make it anew: skopeo login"
        ) from None
    return content if isinstance(content, dict) else {}


def _table(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = content.get(name)
    return found if isinstance(found, dict) else {}


def _compared(name: str) -> str:
    """A name as it is compared; docker writes https:// before a registry, and a path after it."""
    if "://" in name:
        return plain(name.partition("://")[2].partition("/")[0])
    host, slash, rest = name.partition("/")
    return f"{plain(host)}{slash}{rest}"


def _server(registry: str) -> str:
    """What a helper for all registries calls one of them."""
    return "https://index.docker.io/v1/" if registry == DOCKER else registry


def _decoded(path: Path, name: str, entry: Any) -> Credentials:
    try:
        user, colon, password = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
    except (KeyError, TypeError, ValueError, binascii.Error):
        colon = ""
    if not colon:
        raise ConfigurationError(
            f"the auth file {path} has no user and password for {name}", solution=f"make it anew: skopeo login {name}"
        )
    return Credentials(user, password)
