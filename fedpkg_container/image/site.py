"""What a site decides for its builders: one INI file, where Koji's builder plugins keep theirs."""

from __future__ import annotations

import configparser
import os
from dataclasses import dataclass, field
from pathlib import Path

from fedpkg_container.engines.isolation import Isolation
from fedpkg_container.errors import ConfigurationError
from fedpkg_container.registry.registry import FORMATS, Access

#: The file, and the variable that names another one.
PATH = Path("/etc/kojid/plugins/builder_containerbuild.conf")
VARIABLE = "BUILDER_CONTAINERBUILD_CONF"

_KNOWN = {
    "registry": {"candidate", "certificates", "auth_file", "formats"},
    "engine": {"state", "isolation", "runtime", "network", "build_timeout", "base_images_keep"},
    "content_generator": {"name", "certificate", "server_ca"},
    "labels": None,
}


@dataclass(frozen=True)
class Site:
    """A site's decisions.

    :param candidate: the registry to which images are pushed, host and port
    :param state: folder in which builds keep their layers
    :param isolation: how RUN is kept apart; None: found out at the first build
    :param network: what RUN may reach: none, or host
    :param build_timeout: seconds that one arch may take
    :param formats: of images and lists: ``v2s2``, ``oci``; the first is what all tags mean
    :param base_images_keep: days that a base image is kept after its last use; 0: for good
    :param generator: the content generator's name
    :param certificate: with which the content generator logs in; None: the builder's own session imports
    :param server_ca: the authority of the hub's certificate; None: the system's
    :param labels: added to every image
    """

    candidate: str
    access: Access
    state: Path
    isolation: Isolation | None
    network: str
    build_timeout: int
    generator: str
    certificate: Path | None
    server_ca: Path | None
    labels: dict[str, str] = field(default_factory=dict)
    formats: tuple[str, ...] = ("v2s2",)
    base_images_keep: int = 30


def read_site(path: Path | None = None) -> Site:
    """Read the site's file.

    :param path: the file; by default the one that the variable names, or the usual one
    :raises ConfigurationError: it is missing, or some of its values are wrong; all are named
    """
    path = path or Path(os.environ.get(VARIABLE) or PATH)
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    try:
        with path.open() as file:
            parser.read_file(file)
    except (OSError, configparser.Error) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}", solution="see docs/site.md") from error
    reader = _Reader(parser)
    site = Site(
        candidate=reader.text("registry", "candidate", required=True),
        access=Access(reader.path("registry", "certificates"), reader.path("registry", "auth_file")),
        state=reader.path("engine", "state", exists=False) or Path("/var/lib/fedpkg-container"),
        isolation=reader.isolation(),
        network=reader.choice("engine", "network", ("none", "host")),
        build_timeout=reader.seconds("engine", "build_timeout", 4 * 3600),
        generator=reader.text("content_generator", "name") or "fedpkg-container",
        certificate=reader.path("content_generator", "certificate"),
        server_ca=reader.path("content_generator", "server_ca"),
        labels=dict(parser["labels"]) if parser.has_section("labels") else {},
        formats=reader.words("registry", "formats", FORMATS),
        base_images_keep=reader.number("engine", "base_images_keep", 30, "days, or 0"),
    )
    reader.finish(path)
    return site


class _Reader:
    """Takes values out of the file and gathers what is wrong with them."""

    def __init__(self, parser: configparser.ConfigParser) -> None:
        self.parser = parser
        self.problems: list[str] = []

    def text(self, section: str, option: str, *, required: bool = False) -> str:
        value = self.parser.get(section, option, fallback="").strip()
        if required and not value:
            self.problems.append(f"[{section}] {option} is missing")
        return value

    def path(self, section: str, option: str, *, exists: bool = True) -> Path | None:
        value = self.text(section, option)
        if not value:
            return None
        path = Path(value)
        if not path.is_absolute():
            self.problems.append(f"[{section}] {option} = {value}: not an absolute path")
        elif exists and not path.exists():
            self.problems.append(f"[{section}] {option} = {value}: no such file or folder")
        return path

    def choice(self, section: str, option: str, choices: tuple[str, ...]) -> str:
        value = self.text(section, option) or choices[0]
        if value not in choices:
            self.problems.append(f"[{section}] {option} = {value}: must be one of {', '.join(choices)}")
        return value

    def seconds(self, section: str, option: str, default: int) -> int:
        value = self.text(section, option) or str(default)
        if not value.isdigit() or int(value) == 0:
            self.problems.append(f"[{section}] {option} = {value}: must be a number of seconds above 0")
            return default
        return int(value)

    def words(self, section: str, option: str, choices: tuple[str, ...]) -> tuple[str, ...]:
        """Some of the choices, each once and in an order that counts; by default the first."""
        words = tuple(self.text(section, option).replace(",", " ").split()) or choices[:1]
        if len(set(words)) < len(words) or not set(words) <= set(choices):
            allowed = ", ".join(choices)
            self.problems.append(f"[{section}] {option} = {' '.join(words)}: must be some of {allowed}, each once")
        return words

    def number(self, section: str, option: str, default: int, kind: str) -> int:
        """A number that may be 0."""
        value = self.text(section, option) or str(default)
        if not (value.isascii() and value.isdigit()):
            self.problems.append(f"[{section}] {option} = {value}: must be a number of {kind}")
            return default
        return int(value)

    def isolation(self) -> Isolation | None:
        kind = self.choice("engine", "isolation", ("auto", "oci", "chroot"))
        runtime = self.text("engine", "runtime")
        if kind == "oci" and not runtime:
            self.problems.append("[engine] isolation = oci needs a runtime, runc or crun")
        return None if kind == "auto" else Isolation(kind, runtime if kind == "oci" else "")

    def finish(self, path: Path) -> None:
        for section in self.parser.sections():
            known = _KNOWN.get(section, set())
            if section not in _KNOWN:
                self.problems.append(f"[{section}]: no such section")
            elif known is not None:
                unknown = sorted(set(self.parser[section]) - known)
                self.problems += [f"[{section}] {option}: no such setting" for option in unknown]
        if self.problems:
            raise ConfigurationError(f"{path}: " + "; ".join(self.problems), solution="see docs/site.md")
