"""Configuration of ``fedpkg-container-registry``: one INI file per site."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fedpkg_container.errors import ConfigurationError, UsageError
from fedpkg_container.model.limits import DEFAULT_LIMITS, ImageLimits
from fedpkg_container.model.nvr import repository_problem, tag_problem
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.config_path import DOCUMENTATION
from fedpkg_container.registry.redirects.settings import FrontEnd, FrontEndError
from fedpkg_container.registry.skopeo import COPY_TIMEOUT, Access
from fedpkg_container.settings import Settings
from fedpkg_container.text import pluralize

#: Placeholders in the list of floating tags.
VERSION, RECORDED = "version", "recorded"
#: Default of ``retry_timeout``, seconds.
RETRY_TIMEOUT = 60

_ACCESS = {"certificates", "auth_file", "timeout", "retry_timeout"}
_KNOWN = {
    "koji": {"profile"},
    "candidate": {"registry", "keep", *_ACCESS},
    "content_generator": {"name", "certificate", "keytab", "principal", "server_ca", "archives"},
    "engine": {"state"},
    "limits": {"base_image_size", "decompressed_size", "archive_members"},
    "promotion": {"record", "parallel"},
    "mirror": {"target", "registry", "directory", "repositories", "parallel", "grace", "rate", "archives"},
    "redirects": {field.name for field in dataclasses.fields(FrontEnd)},
}
_TARGET = {"registry", "prefix", "koji_tags", "floating", *_ACCESS}


@dataclass(frozen=True)
class Target:
    """A registry, or a part of one, to which images are promoted.

    :param name: name of its section, e.g. ``stable``
    :param registry: host and port
    :param prefix: prefix of repository names, without trailing slash; may be empty
    :param koji_tags: patterns; a build must be in a matching Koji tag
    :param floating: tags that move to newer builds, in the order in which they are set; ``version`` stands for the
        build's version, ``recorded`` for the floating tags recorded in Koji
    """

    name: str
    registry: str
    access: Access
    prefix: str = ""
    koji_tags: tuple[str, ...] = ()
    floating: tuple[str, ...] = (VERSION, "latest")

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
    keep: int = 30


@dataclass(frozen=True)
class Importer:
    """Content generator account for importing base images; see ``[content_generator]`` of the builders.

    :param archives: whether images are stored in Koji; otherwise only their metadata is recorded
    :param state: directory for images while they are inspected
    """

    name: str = "fedpkg-container"
    certificate: Path | None = None
    keytab: Path | None = None
    principal: str = ""
    server_ca: Path | None = None
    archives: bool = True
    state: Path = Path("/var/lib/fedpkg-container")


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
    """

    target: str = "stable"
    registry: str = ""
    directory: Path | None = None
    repositories: tuple[str, ...] = ("*",)
    parallel: int = 8
    grace: int = 7
    rate: int = 0
    archives: bool = False


@dataclass(frozen=True)
class DistributionSite:
    """The parsed configuration of a site.

    :param path: the configuration file
    :param profile: Koji profile
    :param journal: the promotion journal; None: promotions are not recorded
    :param parallel: number of images promoted concurrently
    :param limits: size limits for imported base images
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

    def access(self, host: str) -> Access:
        """Return the configured access to a registry of the site; podman's defaults for any other."""
        own = {target.registry: target.access for target in self.targets.values()}
        return {**own, self.candidates.registry: self.candidates.access}.get(host, Access())

    def target(self, name: str) -> Target:
        """Return a target by name.

        :raises UsageError: if it is not configured
        """
        if name not in self.targets:
            known = f"choose one of {', '.join(self.targets)}" if self.targets else "no target is configured"
            raise UsageError(f"{self.path} has no target {name!r}", solution=f"{known}; or add [target {name}]")
        return self.targets[name]


def read_site(path: Path, *, files: bool = True) -> DistributionSite:
    """Read a site's configuration.

    :param files: whether files that it refers to, e.g. certificates, must exist
    :raises ConfigurationError: if it cannot be read or has invalid values; the error lists all of them
    """
    settings = Settings.read(path, documentation=DOCUMENTATION, files=files)
    names = settings.section_names("target")
    site = DistributionSite(
        path=path,
        profile=settings.text("koji", "profile") or "koji",
        candidates=Candidates(
            settings.registry("candidate", "registry"),
            _access(settings, "candidate"),
            keep=settings.number("candidate", "keep", Candidates.keep, unit="days"),
        ),
        importer=_importer(settings),
        targets={name: _target(settings, name) for name in names},
        journal=settings.path("promotion", "record", exists=False),
        parallel=settings.number("promotion", "parallel", 4, unit="images"),
        mirroring=_mirroring(settings, names),
        limits=_limits(settings),
        front_end=_front_end(settings),
    )
    problems = settings.problems(_KNOWN, kinds={"target": _TARGET})
    if problems:
        raise ConfigurationError(
            f"{path}: {pluralize(len(problems), 'setting is wrong', 'settings are wrong')}",
            solution="\n".join([*problems, f"see {DOCUMENTATION}"]),
        )
    return site


def _access(settings: Settings, section: str) -> Access:
    settings.renamed(section, "patience", "retry_timeout")
    return Access(
        settings.path(section, "certificates"),
        settings.path(section, "auth_file"),
        timeout=settings.number(section, "timeout", int(COPY_TIMEOUT), unit="seconds"),
        retry_timeout=settings.number(section, "retry_timeout", RETRY_TIMEOUT, unit="seconds", minimum=0),
    )


def _target(settings: Settings, name: str) -> Target:
    section = f"target {name}"
    prefix = settings.text(section, "prefix").rstrip("/")
    if prefix and repository_problem(prefix):
        settings.add_problem(section, "prefix", f"= {prefix}: {repository_problem(prefix)}")
    floating = settings.words(section, "floating") or (VERSION, "testing" if name == "testing" else "latest")
    for word in floating:
        if tag_problem(word):
            settings.add_problem(section, "floating", f"= {word}: {tag_problem(word)}")
    koji_tags = settings.words(section, "koji_tags")
    if not koji_tags:
        settings.add_problem(section, "koji_tags", "is missing: the Koji tags whose builds may be promoted")
    return Target(name, settings.registry(section, "registry"), _access(settings, section), prefix, koji_tags, floating)


def _importer(settings: Settings) -> Importer:
    section = "content_generator"
    return Importer(
        name=settings.text(section, "name") or Importer.name,
        certificate=settings.path(section, "certificate"),
        keytab=settings.path(section, "keytab"),
        principal=settings.text(section, "principal"),
        server_ca=settings.path(section, "server_ca"),
        archives=settings.choice(section, "archives", ("store", "reference")) == "store",
        state=settings.path("engine", "state", exists=False) or Importer.state,
    )


def _mirroring(settings: Settings, targets: tuple[str, ...]) -> Mirroring:
    section, default = "mirror", Mirroring()
    target = settings.text(section, "target") or default.target
    if settings.text(section, "target") and target not in targets:
        settings.add_problem(section, "target", f"= {target}: there is no [target {target}]")
    return Mirroring(
        target=target,
        registry=settings.registry(section, "registry") if settings.text(section, "registry") else "",
        directory=settings.path(section, "directory", exists=False),
        repositories=settings.words(section, "repositories") or default.repositories,
        parallel=settings.number(section, "parallel", default.parallel, unit="requests"),
        grace=settings.number(section, "grace", default.grace, unit="days", minimum=0),
        rate=settings.size(section, "rate", default.rate),
        archives=settings.choice(section, "archives", ("no", "yes")) == "yes",
    )


def _limits(settings: Settings) -> ImageLimits:
    section, default = "limits", DEFAULT_LIMITS
    return ImageLimits(
        size=settings.size(section, "base_image_size", default.size),
        decompressed=settings.size(section, "decompressed_size", default.decompressed),
        members=settings.number(section, "archive_members", default.members, unit="files"),
    )


def _front_end(settings: Settings) -> FrontEnd | None:
    """Return the front end; None if the site has none, or after noting that its settings are invalid.

    Files that it refers to need not exist: the front end may run on another machine.
    """
    section = "redirects"
    if not settings.section(section):
        return None

    def path(option: str) -> Path | None:
        text = settings.text(section, option)
        return Path(text) if text else None

    certificate = path("certificate") or Path()
    try:
        return FrontEnd(
            names=settings.words(section, "names"),
            certificate=certificate,
            key=path("key") or certificate,
            registry=settings.text(section, "registry"),
            mirror=settings.text(section, "mirror"),
            registry_ca=path("registry_ca"),
            no_cdn_names=settings.words(section, "no_cdn_names"),
            tree=path("tree"),
            switch=path("switch") or FrontEnd.switch,
            via=settings.words(section, "via"),
            networks=settings.words(section, "networks"),
            listen=settings.words(section, "listen") or FrontEnd.listen,
            plain_listen=settings.words(section, "plain_listen"),
        )
    except FrontEndError as error:
        for setting, what in error.problems:
            settings.add_problem(section, setting, what)
        return None
