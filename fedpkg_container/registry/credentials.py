"""Who one is at a registry: the auth file that podman, skopeo and docker share (containers-auth.json(5))."""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fedpkg_container.errors import ConfigurationError
from fedpkg_container.registry.credential_helpers import Credentials, from_helper
from fedpkg_container.registry.hosts import DOCKER, plain


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
