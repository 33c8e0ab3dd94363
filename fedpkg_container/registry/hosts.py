"""What registries are called, and where they answer."""

from __future__ import annotations

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
