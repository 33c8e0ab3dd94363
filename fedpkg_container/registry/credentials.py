"""Who one is at a registry: the auth file that podman, skopeo and docker share (containers-auth.json(5))."""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedpkg_container.errors import ConfigurationError
from fedpkg_container.registry.hosts import plain


@dataclass(frozen=True)
class Credentials:
    """A name and a password; the password is never shown."""

    user: str
    password: str = field(repr=False)


def find(repository: str, auth_file: Path | None) -> Credentials | None:
    """The credentials for a repository: those of the longest name that it begins with; None when there are none.

    :param repository: with its registry, ``registry.example.org/fedora/hello``
    :param auth_file: None for the user's own files
    :raises ConfigurationError: the file cannot be read; what it holds is not in the message
    """
    repository = _compared(repository)
    for path in [auth_file] if auth_file else _usual():
        entries = _entries(path, required=auth_file is not None)
        for name in _names(repository):
            if entries.get(name):
                return _decoded(path, name, entries[name])
    return None


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


def _entries(path: Path, *, required: bool) -> dict[str, Any]:
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
    entries = content.get("auths") if isinstance(content, dict) else None
    if not isinstance(entries, dict):
        return {}
    return {_compared(name): each for name, each in entries.items()}


def _compared(name: str) -> str:
    """A name as it is compared; docker writes https:// before a registry, and a path after it."""
    if "://" in name:
        return plain(name.partition("://")[2].partition("/")[0])
    host, slash, rest = name.partition("/")
    return f"{plain(host)}{slash}{rest}"


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
