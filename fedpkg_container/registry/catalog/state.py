# SPDX-License-Identifier: GPL-2.0-or-later
"""What is known from earlier runs, in ``.catalog`` in the output directory, which web servers must not serve."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from fedpkg_container.files import write_atomically
from fedpkg_container.registry.catalog.facts import ImageFacts, Package

_log = logging.getLogger(__name__)

#: Private directory in the output directory.
PRIVATE_DIR = ".catalog"
#: Version of the format; a state of another version is ignored, and everything is read again.
FORMAT = 1


@dataclass
class State:
    """The state of a catalog.

    :param source: registry and prefix that it was read from
    :param position: position in the promotion journal
    :param checked: time at which all repositories and referrers were read, seconds since 1970
    :param tags: repository → tag → digest
    :param images: repository → digest → facts
    :param pages: path of each written page → digest of what it was made from; empty if it is always made
    """

    source: str = ""
    position: str = ""
    checked: float = 0.0
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    images: dict[str, dict[str, ImageFacts]] = field(default_factory=dict)
    pages: dict[str, str] = field(default_factory=dict)


class Store:
    """The files of the state.

    :param directory: the private directory
    """

    def __init__(self, directory: Path) -> None:
        self._path, self._packages = directory / "state.json", directory / "packages"
        self._packages.mkdir(mode=0o700, exist_ok=True)

    def read(self, source: str) -> State:
        """Return the state; an empty one if there is none for this registry and prefix, but with the known pages."""
        try:
            values = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return State(source)
        except ValueError:
            values = None
        if not isinstance(values, dict) or values.pop("format", 0) != FORMAT:
            _log.warning("%s is invalid or of another version; reading everything again", self._path)
            return State(source)
        try:
            images = {
                name: {digest: ImageFacts.from_json(facts) for digest, facts in known.items()}
                for name, known in values["images"].items()
            }
            state = State(**{**values, "images": images})
        except (KeyError, TypeError, AttributeError):
            _log.warning("%s is invalid; reading everything again", self._path)
            return State(source)
        return state if state.source == source else State(source, pages=dict.fromkeys(state.pages, ""))

    def write(self, state: State) -> None:
        """Store the state, and delete the packages of images that it does not contain.

        :raises OSError: if it cannot be written
        """
        images = {
            name: {digest: facts.to_json() for digest, facts in known.items()} for name, known in state.images.items()
        }
        write_atomically(self._path, json.dumps({"format": FORMAT, **vars(state), "images": images}), mode=0o600)
        current = {self._file(digest) for known in state.images.values() for digest in known}
        for path in self._packages.iterdir():
            if path not in current:
                path.unlink()

    def packages(self, digest: str) -> tuple[Package, ...]:
        """Return the packages of an image; none if they are unknown."""
        try:
            values = json.loads(self._file(digest).read_bytes())
        except FileNotFoundError:
            return ()
        return tuple(Package(name, version, tuple(arches)) for name, version, arches in values)

    def write_packages(self, digest: str, packages: Iterable[Package]) -> None:
        """Store the packages of an image.

        :raises OSError: if they cannot be written
        """
        values = [[package.name, package.version, package.arches] for package in packages]
        write_atomically(self._file(digest), json.dumps(values, separators=(",", ":")), mode=0o600)

    def _file(self, digest: str) -> Path:
        return self._packages / f"{digest.replace(':', '-')}.json"
