"""What a site decides for the way of its images to everybody: one INI file, read by ``fedpkg-container-registry``."""

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

#: Words among a target's floating tags that are not tags themselves.
VERSION, RECORDED = "version", "recorded"
#: Seconds for which a registry that fails is asked again, where the site says nothing.
PATIENCE = 60

_ACCESS = {"certificates", "auth_file", "timeout", "patience"}
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
    """Where images are promoted to.

    :param name: of its section, ``stable``
    :param registry: host and port
    :param prefix: what stands before the repositories' names, without a slash at its end; may be empty
    :param koji_tags: patterns of the Koji tags of which a build must be in one
    :param floating: tags that move to each newer build, in the order in which they are set; ``version`` and
        ``recorded`` stand for the build's version, and for what Koji recorded of it
    """

    name: str
    registry: str
    access: Access
    prefix: str = ""
    koji_tags: tuple[str, ...] = ()
    floating: tuple[str, ...] = (VERSION, "latest")

    def repository(self, name: str) -> ImageReference:
        """Where a repository of the candidate registry comes to be."""
        return ImageReference(self.registry, f"{self.prefix}/{name}" if self.prefix else name)

    def lets_through(self, koji_tag: str) -> bool:
        """Whether builds in a tag of Koji may be promoted."""
        return any(fnmatch.fnmatchcase(koji_tag, pattern) for pattern in self.koji_tags)


@dataclass(frozen=True)
class Candidates:
    """The registry that builders push to.

    :param keep: days after which an image that nobody needs may be pruned
    """

    registry: str
    access: Access
    keep: int = 30


@dataclass(frozen=True)
class Importer:
    """The content generator as which base images are imported; see the builders' ``[content_generator]``.

    :param archives: whether images are stored in Koji; otherwise it records them without their content
    :param state: folder in which images are kept while they are looked into
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
    """What is exported for mirrors.

    :param target: whose tags are followed
    :param registry: the name under which it is asked; empty: the target's own. Where a front end sends clients to the
        mirrors, this is one under which it does not
    :param directory: None: it is named on the command line
    :param repositories: patterns of the repositories
    :param parallel: requests at the same time
    :param grace: days for which a blob stays that no tag reaches
    :param rate: bytes a second for all requests together; 0 for no limit
    :param archives: whether images are exported as archives too
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
    """A site's decisions.

    :param path: the file that they were read from
    :param profile: koji's
    :param record: the file that says what was promoted; None: nothing is recorded
    :param parallel: images that are promoted at the same time
    :param limits: of base images that are imported
    :param front_end: before the stable registry; None: there is none, or the site does not say
    """

    path: Path
    profile: str
    candidates: Candidates
    importer: Importer
    targets: Mapping[str, Target]
    record: Path | None
    parallel: int
    mirroring: Mirroring
    limits: ImageLimits = DEFAULT_LIMITS
    front_end: FrontEnd | None = None

    def access(self, host: str) -> Access:
        """How a registry is reached: as the site says where it is one of its own, else as podman reaches it."""
        own = {target.registry: target.access for target in self.targets.values()}
        return {**own, self.candidates.registry: self.candidates.access}.get(host, Access())

    def target(self, name: str) -> Target:
        """A target by name.

        :raises UsageError: there is none
        """
        if name not in self.targets:
            known = f"name one of these: {', '.join(self.targets)}" if self.targets else "there is none yet"
            raise UsageError(f"{self.path} has no target {name!r}", solution=f"{known}; or add [target {name}]")
        return self.targets[name]


def read_site(path: Path, *, files: bool = True) -> DistributionSite:
    """Read the site's file.

    :param files: whether files that it names, as certificates, must be there
    :raises ConfigurationError: it cannot be read, or some of its values are wrong; all are named
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
        record=settings.path("promotion", "record", exists=False),
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
    return Access(
        settings.path(section, "certificates"),
        settings.path(section, "auth_file"),
        timeout=settings.number(section, "timeout", int(COPY_TIMEOUT), unit="seconds"),
        patience=settings.number(section, "patience", PATIENCE, unit="seconds", minimum=0),
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
        settings.add_problem(section, "koji_tags", "is missing: the tags of Koji whose builds may be promoted")
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
    """The front end; None where the site says nothing of one, or something that is wrong, which is remembered.

    The files that it names need not be there: it may be for another machine.
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
