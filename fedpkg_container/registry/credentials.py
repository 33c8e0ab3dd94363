# SPDX-License-Identifier: GPL-2.0-or-later
"""Credentials for a registry: from the auth file shared by podman, skopeo and docker, or from a credential helper."""

from __future__ import annotations

import base64
import binascii
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedpkg_container.errors import ConfigurationError, FedpkgContainerError, ProgramError
from fedpkg_container.process import run
from fedpkg_container.text import printable_line

_log = logging.getLogger(__name__)

#: Docker's registry: image names use another host than its API; clients treat all of these as the same.
DOCKER, _DOCKER_API = "docker.io", "registry-1.docker.io"
_DOCKER_NAMES = frozenset({DOCKER, "index.docker.io", _DOCKER_API})
#: Seconds; a helper may prompt for a passphrase.
TIMEOUT = 60.0
#: Valid helper names: part of a program name.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
#: User name that marks an identity token, which must be exchanged for other tokens.
_TOKEN_USER = "<token>"  # noqa: S105
#: Output of helpers for an unknown server.
_UNKNOWN = "credentials not found"


def normalize_host(host: str) -> str:
    """Return a host in canonical form for comparison: lower case, without port 443, Docker's aliases unified."""
    host = host.lower()
    host = host[: -len(":443")] if host.endswith(":443") else host
    return DOCKER if host in _DOCKER_NAMES else host


def api_host(host: str) -> str:
    """Return the host, with port, that serves a registry's API."""
    return _DOCKER_API if normalize_host(host) == DOCKER else host


@dataclass(frozen=True)
class Credentials:
    """User and password, or a bearer token; the representation hides both secrets.

    :param token: issued by the registry's token server (``registrytoken`` in docker's auth file); empty for none
    """

    user: str
    password: str = field(repr=False)
    token: str = field(default="", repr=False)


def from_helper(path: Path, helper: object, server: str) -> Credentials | None:
    """Return a helper's credentials for a server; None if it has none.

    :param path: the auth file that names the helper, for errors
    :param helper: its name, without ``docker-credential-``
    :raises ConfigurationError: if the name is invalid, or the helper is missing, fails or prints invalid output; the
        message contains no secret
    """
    if not isinstance(helper, str) or not _NAME.fullmatch(helper):
        raise ConfigurationError(
            f"the auth file {path} names an invalid credential helper: {printable_line(str(helper))[:80]!r}",
            solution="give its name without docker-credential-",
        )
    program = f"docker-credential-{helper}"
    try:
        output = run([program, "get"], timeout=TIMEOUT, stdin=server.encode()).stdout
    except ProgramError as error:
        if _UNKNOWN in error.output:
            return None
        raise _helper_error(program, path, server, printable_line(error.output)[:200]) from None
    except (FedpkgContainerError, OSError) as error:
        raise _helper_error(
            program, path, server, getattr(error, "reason", "") or getattr(error, "strerror", "")
        ) from None
    try:
        fields = json.loads(output)
        user, secret = fields["Username"], fields["Secret"]
    except (ValueError, LookupError, TypeError):
        raise _helper_error(program, path, server, "its output has no user name and secret") from None
    if user == _TOKEN_USER or not isinstance(user, str) or not isinstance(secret, str):
        raise _helper_error(program, path, server, "identity tokens are not supported")
    return Credentials(user, secret)


def _helper_error(program: str, path: Path, server: str, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"{program} (configured in {path}) returned no credentials for {printable_line(server)}: {reason}",
        solution=f"try: echo SERVER | {program} get; or store a password in the auth file: skopeo login",
    )


def find(repository: str, auth_file: Path | None) -> Credentials | None:
    """Return the credentials for a repository, those of the longest matching name; None if there are none.

    A helper configured for the registry (``credHelpers``) takes precedence; ``credsStore`` is used for registries
    without an entry.

    :param repository: with its registry, e.g. ``registry.example.org/fedora/hello``
    :param auth_file: None for the user's own files
    :raises ConfigurationError: if the file cannot be read or a helper fails; the message contains no secret
    """
    repository = _normalize(repository)
    for path in [auth_file] if auth_file else _default_paths():
        credentials = _find_in_file(path, _content(path, required=auth_file is not None), repository)
        if credentials:
            _log.debug("credentials for %s found, configured in %s", repository, path)
            return credentials
    _log.debug("no credentials for %s", repository)
    return None


def _find_in_file(path: Path, content: Mapping[str, object], repository: str) -> Credentials | None:
    registry = repository.partition("/")[0]
    for name, helper in _table(content, "credHelpers").items():
        if _normalize(name) == registry:
            return from_helper(path, helper, name)
    entries = {_normalize(name): entry for name, entry in _table(content, "auths").items()}
    for name in _names(repository):
        if entries.get(name):
            return _decode(path, name, entries[name])
    return from_helper(path, content["credsStore"], _server(registry)) if content.get("credsStore") else None


def _default_paths() -> Iterator[Path]:
    """Yield the paths of the user's auth files, in skopeo's order."""
    if os.environ.get("REGISTRY_AUTH_FILE"):
        yield Path(os.environ["REGISTRY_AUTH_FILE"])
        return
    run = os.environ.get("XDG_RUNTIME_DIR")
    yield Path(run or f"/run/containers/{os.getuid()}") / ("containers/auth.json" if run else "auth.json")
    yield Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "containers" / "auth.json"
    yield Path.home() / ".docker" / "config.json"


def _names(repository: str) -> Iterator[str]:
    """Yield the repository and each of its parent paths, down to the registry."""
    name = repository
    while name:
        yield name
        name = name.rpartition("/")[0]


def _content(path: Path, *, required: bool) -> dict[str, object]:
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        if not required:
            return {}
        raise ConfigurationError(f"no auth file {path}", solution="create it: skopeo login") from None
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"the auth file {path} cannot be read: {type(error).__name__}", solution="recreate it: skopeo login"
        ) from None
    return content if isinstance(content, dict) else {}


def _table(content: Mapping[str, object], name: str) -> Mapping[str, object]:
    table = content.get(name)
    return table if isinstance(table, dict) else {}


def _normalize(name: str) -> str:
    """Return a name in canonical form; docker writes https:// before a registry and a path after it."""
    if "://" in name:
        return normalize_host(name.partition("://")[2].partition("/")[0])
    host, slash, rest = name.partition("/")
    return f"{normalize_host(host)}{slash}{rest}"


def _server(registry: str) -> str:
    """Return the name by which a helper knows a registry."""
    return "https://index.docker.io/v1/" if registry == DOCKER else registry


def _decode(path: Path, name: str, entry: Any) -> Credentials:
    token = entry.get("registrytoken") if isinstance(entry, dict) else None
    if token and isinstance(token, str):
        return Credentials("", "", token)
    try:
        user, colon, password = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
    except (KeyError, TypeError, ValueError, binascii.Error):
        colon = ""
    if not colon:
        raise ConfigurationError(
            f"the auth file {path} has no user and password for {name}", solution=f"recreate it: skopeo login {name}"
        )
    return Credentials(user, password)
