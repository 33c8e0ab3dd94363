# SPDX-License-Identifier: GPL-2.0-or-later
"""Configuration of ``fedpkg-container-registry``: one INI file per site."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fedpkg_container.errors import ConfigurationError, UsageError
from fedpkg_container.model.limits import DEFAULT_LIMITS, ImageLimits
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.config_keys import ACCESS_KEYS, KEYS
from fedpkg_container.registry.config_path import DOCUMENTATION
from fedpkg_container.registry.messages.publishers import MessageSettings
from fedpkg_container.registry.redirects.settings import FrontEnd, FrontEndError
from fedpkg_container.registry.signing.settings import FORMATS, NO_SIGNING, SigningSettings
from fedpkg_container.registry.skopeo import Access
from fedpkg_container.settings import Settings
from fedpkg_container.text import pluralize

#: Value of ``[redirects] tree`` for a front end that redirects every blob.
NO_TREE = Path("none")
#: Placeholders in the list of floating tags.
VERSION, RECORDED = "version", "recorded"


@dataclass(frozen=True)
class Target:
    """A registry, or a part of one, to which images are promoted.

    :param name: name of its section, e.g. ``stable``
    :param registry: host and port
    :param prefix: prefix of repository names, without trailing slash; may be empty
    :param koji_tags: patterns; a build must be in a matching Koji tag
    :param floating: tags that move to newer builds, in the order in which they are set; ``version`` stands for the
        build's version, ``recorded`` for the floating tags recorded in Koji
    :param sign: whether every promoted image must be signed
    :param signature_formats: formats of the signatures: bundle, tag
    :param public_names: registries with prefix under which clients pull the images; empty: registry and prefix
    """

    name: str
    registry: str
    access: Access
    prefix: str = ""
    koji_tags: tuple[str, ...] = ()
    floating: tuple[str, ...] = (VERSION, "latest")
    sign: bool = False
    signature_formats: tuple[str, ...] = FORMATS
    public_names: tuple[str, ...] = ()

    @property
    def scopes(self) -> tuple[str, ...]:
        """Registries with prefix under which clients pull the images."""
        return self.public_names or (f"{self.registry}/{self.prefix}".rstrip("/"),)

    def signed_names(self, repository: ImageReference) -> tuple[str, ...]:
        """Return the names of a repository of the target that its signatures contain."""
        name = repository.repository.removeprefix(f"{self.prefix}/") if self.prefix else repository.repository
        return tuple(f"{scope}/{name}" for scope in self.scopes)

    def repository(self, name: str) -> ImageReference:
        """Return the target's repository for a repository of the candidate registry."""
        return ImageReference(self.registry, f"{self.prefix}/{name}" if self.prefix else name)

    def allows(self, koji_tag: str) -> bool:
        """Return whether builds in a Koji tag may be promoted."""
        return any(fnmatch.fnmatchcase(koji_tag, pattern) for pattern in self.koji_tags)


@dataclass(frozen=True)
class Candidates:
    """The registry that builders push to.

    :param keep: retention period of unneeded images, days
    """

    registry: str
    access: Access
    keep: int


@dataclass(frozen=True)
class Importer:
    """Content generator account for importing base images; see ``[content_generator]`` of the builders.

    :param archives: whether images are stored in Koji; otherwise only their metadata is recorded
    :param state: directory for images while they are inspected
    """

    name: str
    certificate: Path | None
    keytab: Path | None
    principal: str
    server_ca: Path | None
    archives: bool
    state: Path


@dataclass(frozen=True)
class Mirroring:
    """Settings of the mirror.

    :param target: the target whose tags are followed
    :param registry: host and port to fetch from, where a front end redirects clients of the target's own name to the
        mirrors; empty: the target's own
    :param directory: output directory; None: must be given on the command line
    :param repositories: patterns of repository names
    :param parallel: number of concurrent requests
    :param grace: days for which unreferenced blobs are kept
    :param rate: bandwidth limit for all requests together, bytes per second; 0 for none
    :param archives: whether images are also exported as docker-archives
    :param probe: base URLs of mirrors and CDNs
    """

    target: str
    registry: str
    directory: Path | None
    repositories: tuple[str, ...]
    parallel: int
    grace: int
    rate: int
    archives: bool
    probe: tuple[str, ...] = ()


@dataclass(frozen=True)
class CatalogSettings:
    """Settings of the catalog.

    :param target: the target that is shown
    :param directory: output directory; None: must be given on the command line
    :param url: public URL without trailing slash; empty if unknown
    """

    target: str = "stable"
    directory: Path | None = None
    url: str = ""


@dataclass(frozen=True)
class DistributionSite:
    """The parsed configuration of a site.

    :param path: the configuration file
    :param profile: Koji profile
    :param journal: the promotion journal; None: promotions are not recorded
    :param parallel: number of images promoted concurrently
    :param limits: size limits for imported base images
    :param messages: where messages about promotions are sent to
    :param front_end: web server in front of the stable registry; None: not configured
    """

    path: Path
    profile: str
    candidates: Candidates
    importer: Importer
    targets: Mapping[str, Target]
    journal: Path | None
    parallel: int
    mirroring: Mirroring
    limits: ImageLimits = DEFAULT_LIMITS
    front_end: FrontEnd | None = None
    catalog: CatalogSettings = CatalogSettings()
    signing: SigningSettings = NO_SIGNING
    messages: MessageSettings = field(default_factory=MessageSettings)

    def access(self, host: str) -> Access:
        """Return the configured access to a registry of the site; podman's defaults for any other."""
        targets_access = {target.registry: target.access for target in self.targets.values()}
        return {**targets_access, self.candidates.registry: self.candidates.access}.get(host, Access())

    def target(self, name: str) -> Target:
        """Return a target by name.

        :raises UsageError: if it is not configured
        """
        if name not in self.targets:
            choice = f"choose one of {', '.join(self.targets)}, or " if self.targets else ""
            raise UsageError(f"{self.path} has no target {name!r}", solution=f"{choice}add [target {name}]")
        return self.targets[name]


def read_site(path: Path, *, files: bool = True) -> DistributionSite:
    """Read a site's configuration.

    :param files: whether files that it refers to, e.g. certificates, must exist
    :raises ConfigurationError: if it cannot be read or has invalid values; the error lists all of them
    """
    settings = Settings.read(path, KEYS, documentation=DOCUMENTATION, files=files)
    promotion, limits = settings["promotion"], settings["limits"]
    site = DistributionSite(
        path=path,
        profile=settings["koji"]["profile"],
        candidates=Candidates(
            settings["candidate"]["registry"], _access(settings, "candidate"), settings["candidate"]["keep"]
        ),
        importer=Importer(**settings["content_generator"], state=settings["engine"]["state"]),
        targets={name: _target(settings, name) for name in settings.names("target")},
        journal=promotion["record"],
        parallel=promotion["parallel"],
        mirroring=Mirroring(**settings["mirror"]),
        limits=ImageLimits(limits["base_image_size"], limits["decompressed_size"], limits["archive_members"]),
        front_end=_front_end(settings),
        catalog=CatalogSettings(**settings["catalog"]),
        signing=_signing(settings),
        messages=MessageSettings(**settings["messages"]),
    )
    _check_messages(settings, site)
    for section, target in (("mirror", site.mirroring.target), ("catalog", site.catalog.target)):
        if settings.text(section, "target") and target not in site.targets:
            settings.add_problem(section, "target", f"= {target}: there is no [target {target}]")
    if problems := settings.problems():
        raise ConfigurationError(
            f"{path}: {pluralize(len(problems), 'setting is wrong', 'settings are wrong')}",
            solution="\n".join([*problems, f"see {DOCUMENTATION}"]),
        )
    return site


def _access(settings: Settings, section: str) -> Access:
    return Access(**{key.name: settings[section][key.name] for key in ACCESS_KEYS})


def _target(settings: Settings, name: str) -> Target:
    section = settings[f"target {name}"]
    default = () if settings.text(f"target {name}", "floating") else _default_floating(name)
    return Target(
        name,
        section["registry"],
        _access(settings, f"target {name}"),
        section["prefix"],
        section["koji_tags"],
        section["floating"] or default,
        section["sign"],
        section["signature_formats"],
        section["public_names"],
    )


def _signing(settings: Settings) -> SigningSettings:
    signing = SigningSettings(**settings["signing"])
    if signing.key and signing.command:
        settings.add_problem("signing", "command", "excludes key")
    if signing.needs_public_key and not signing.public_key:
        settings.add_problem("signing", "public_key", "is missing: it is required for a token or command")
    for name in settings.names("target"):
        if settings[f"target {name}"]["sign"] and not signing.can_sign:
            settings.add_problem(f"target {name}", "sign", "= required: [signing] has neither key nor command")
    return signing


def _default_floating(name: str) -> tuple[str, ...]:
    return (VERSION, "testing" if name == "testing" else "latest")


def _check_messages(settings: Settings, site: DistributionSite) -> None:
    """Record what is wrong with several settings of messages together."""
    names = [name for name in ("command", "fedora_messaging") if settings.text("messages", name)]
    if len(names) > 1:
        settings.add_problem("messages", names[1], f"and {names[0]} exclude each other: set one of them")
    if names and site.journal is None:
        settings.add_problem("messages", names[0], "needs the promotion journal: set [promotion] record")


def _front_end(settings: Settings) -> FrontEnd | None:
    """Return the front end; None if the site has none, or after noting that its settings are invalid.

    Files that it refers to need not exist: the front end may run on another machine. By default it redirects only blobs
    in the mirror's directory: if it does not see that directory, the registry serves all blobs.
    """
    if "redirects" not in settings:
        return None
    values = dict(settings["redirects"])
    values["tree"] = None if values["tree"] == NO_TREE else values["tree"] or settings["mirror"]["directory"]
    certificate = values["certificate"] or Path()
    try:
        return FrontEnd(**{**values, "certificate": certificate, "key": values["key"] or certificate})
    except FrontEndError as error:
        for setting, what in error.problems:
            settings.add_problem("redirects", setting, what)
        return None
