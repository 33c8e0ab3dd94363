"""What a site decides for its builders: one INI file, where Koji's builder plugins keep theirs."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from fedpkg_container.engines.ids import ACCOUNT
from fedpkg_container.engines.isolation import Isolation
from fedpkg_container.errors import ConfigurationError
from fedpkg_container.model.limits import Deadline
from fedpkg_container.model.nvr import package_problem, repository_problem
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.address_guard import AddressGuard
from fedpkg_container.registry.manifests import FORMATS
from fedpkg_container.registry.skopeo import COPY_TIMEOUT, Access
from fedpkg_container.settings import Settings

#: The file, and the variable that names another one.
CONFIG_PATH = Path("/etc/kojid/plugins/builder_containerbuild.conf")
CONFIG_VARIABLE = "BUILDER_CONTAINERBUILD_CONF"

#: Where floating tags can come from.
FLOATING_TAG_SOURCES = ("version", "latest", "container-yaml", "additional-tags")
#: What of a build's network is decided when: always the same, or by what its repositories need.
NETWORK_MODES = ("auto", "none", "isolated", "host")
#: Sections whose settings are names of the site's own choice.
_FREE_SECTIONS = ("labels", "build_arguments", "components", "repositories")
_KNOWN = {
    "registry": {
        "candidate",
        "certificates",
        "auth_file",
        "sources",
        "formats",
        "timeout",
        "patience",
        "allowed_hosts",
    },
    "engine": {"state", "account", "isolation", "runtime", "network", "denied_networks", "base_images_keep"},
    "limits": {
        "prepare_timeout",
        "build_timeout",
        "build_timeout_max",
        "build_size",
        "log_size",
        "free_space",
        "memory",
        "processes",
        "build_files",
        "free_files",
        "base_image_size",
    },
    "content_generator": {"name", "certificate", "keytab", "principal", "server_ca", "archives"},
    "tags": {"floating"},
    "lookaside": {"url", "namespaced", "hash"},
    **{section: set() for section in _FREE_SECTIONS},
}
_GIGABYTE = 10**9
#: Seconds for which a registry that fails is asked again, where the site says nothing.
RETRY_TIMEOUT = 60


@dataclass(frozen=True)
class Limits:
    """How much one arch of a build may use.

    :param build_timeout: seconds, where container.yaml says nothing
    :param build_timeout_max: seconds, whatever container.yaml says
    :param build_size: bytes that a build may write into its layers
    :param log_size: bytes of its log
    :param free_space: bytes that must stay free in the file system of the builds
    :param memory: bytes that a worker may use; 0 for no limit
    :param processes: processes and threads of a worker; 0 for no limit
    :param build_files: files and directories that a build may make
    :param free_files: inodes that must stay free in the file system of the builds
    :param base_image_size: bytes that a base image may take unpacked
    :param prepare_timeout: seconds for everything that a task fetches before RUN: parents, .repo files, sources, base images
    """

    build_timeout: int = 4 * 3600
    build_timeout_max: int = 4 * 3600
    build_size: int = 10 * _GIGABYTE
    log_size: int = _GIGABYTE
    free_space: int = _GIGABYTE
    memory: int = 0
    processes: int = 4096
    build_files: int = 1_000_000
    free_files: int = 10_000
    base_image_size: int = 10 * _GIGABYTE
    prepare_timeout: int = 3600

    def preparation_deadline(self) -> Deadline:
        """Return the deadline, from now on, of everything that precedes RUN."""
        return Deadline(
            "fetching what the build needs",
            self.prepare_timeout,
            "build again when the registries and servers that it names are faster; the limit is the site's"
            " (prepare_timeout)",
        )

    def timeout_for(self, requested: int) -> int:
        """How long a build may take.

        :param requested: what container.yaml says; 0 for nothing
        """
        return min(requested or self.build_timeout, self.build_timeout_max)


@dataclass(frozen=True)
class ContentGenerator:
    """The content generator: the shared account as which builds are imported.

    :param name: of the content generator
    :param certificate: a PEM file to log in with; with neither this nor a keytab, the builder's own session imports
    :param keytab: of ``principal``, for Kerberos
    :param server_ca: the authority of the hub's certificate; None: the system's
    :param store_archives: whether images are stored in Koji; otherwise it records them without their content
    """

    name: str
    certificate: Path | None = None
    keytab: Path | None = None
    principal: str = ""
    server_ca: Path | None = None
    store_archives: bool = True


@dataclass(frozen=True)
class Lookaside:
    """The lookaside cache.

    :param url: where files are downloaded from
    :param namespaced: whether names in it begin with the namespace of dist-git
    :param hash: the type of hash of entries that name none
    """

    url: str
    namespaced: bool = True
    hash: str = "sha512"


@dataclass(frozen=True)
class BuilderConfig:
    """A site's decisions.

    :param candidate: the registry to which images are pushed, host and port
    :param sources: registries and repositories that FROM may name, ``registry.example.org/base``; empty for all
    :param formats: formats of manifests; tags point to the first
    :param state: folder in which builds keep their layers
    :param account: whose subordinate IDs workers have
    :param isolation: what executes RUN; None: found out at the first build
    :param network: what RUN may reach: auto, none, isolated or host
    :param denied_networks: what an isolated network does not reach, besides the builder itself
    :param base_images_keep: days for which a base image stays on a builder after its last use; 0: for good
    :param floating_tag_sources: where floating tags come from
    :param lookaside: None: the site has none
    :param labels: added to every image
    :param build_arguments: given to every build
    :param components: source repository, by name or path → packages that it may build besides its own
    :param repositories: repository in the registry → packages for which it is reserved
    """

    candidate: str
    access: Access
    sources: tuple[str, ...]
    formats: tuple[str, ...]
    state: Path
    account: str
    isolation: Isolation | None
    network: str
    denied_networks: tuple[str, ...]
    base_images_keep: int
    limits: Limits
    content_generator: ContentGenerator
    floating_tag_sources: frozenset[str]
    lookaside: Lookaside | None
    labels: dict[str, str] = field(default_factory=dict)
    build_arguments: dict[str, str] = field(default_factory=dict)
    components: dict[str, tuple[str, ...]] = field(default_factory=dict)
    repositories: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def address_guard(self) -> AddressGuard:
        """The addresses that are connected to for a packager, whatever names they have."""
        return AddressGuard(self.denied_networks)

    def preparation_access(self, deadline: Deadline) -> Access:
        """How registries are reached while a build is prepared: one that fails is not waited for, as nothing is lost.

        :param deadline: when all requests have to have ended
        """
        return replace(self.access.impatient(), deadline=deadline)

    def allows_parent(self, image: ImageReference) -> bool:
        """Whether images may be built on this one."""
        name = f"{image.registry}/{image.repository}"
        return not self.sources or any(name == each or name.startswith(f"{each}/") for each in self.sources)


def read_builder_config(path: Path | None = None) -> BuilderConfig:
    """Read the site's file.

    :param path: the file; by default the one that the variable names, or the usual one
    :raises ConfigurationError: it is missing, or some of its values are wrong; all are named
    """
    path = path or Path(os.environ.get(CONFIG_VARIABLE) or CONFIG_PATH)
    settings = Settings.read(path)
    denied = settings.networks("engine", "denied_networks")
    config = BuilderConfig(
        candidate=settings.registry("registry", "candidate"),
        access=_access(settings, AddressGuard(denied, _trusted_hosts(settings))),
        sources=_sources(settings),
        formats=settings.chosen("registry", "formats", FORMATS, default=FORMATS[:1]),
        state=settings.path("engine", "state", exists=False) or Path("/var/lib/fedpkg-container"),
        account=settings.text("engine", "account") or ACCOUNT,
        isolation=_isolation(settings),
        network=settings.choice("engine", "network", NETWORK_MODES),
        denied_networks=denied,
        base_images_keep=settings.number("engine", "base_images_keep", 30, unit="days", least=0),
        limits=_limits(settings),
        content_generator=_content_generator(settings),
        floating_tag_sources=frozenset(
            settings.chosen("tags", "floating", FLOATING_TAG_SOURCES, default=FLOATING_TAG_SOURCES)
        ),
        lookaside=_lookaside(settings),
        labels=settings.section("labels"),
        build_arguments=settings.section("build_arguments"),
        components=_package_lists(settings, "components", _path_problem),
        repositories=_package_lists(settings, "repositories", repository_problem),
    )
    problems = settings.problems(_KNOWN, free=_FREE_SECTIONS)
    if problems:
        raise ConfigurationError(f"{path}: " + "; ".join(problems), solution="see docs/site.md")
    return config


def _package_lists(settings: Settings, section: str, problem_of: Callable[[str], str]) -> dict[str, tuple[str, ...]]:
    """A section that lists packages for each repository.

    :param problem_of: what keeps a text from being the name of such a repository
    """
    found = {}
    for name in settings.section(section):
        found[name] = settings.words(section, name)
        if problem := problem_of(name):
            settings.complain(section, name, f"names no repository: it {problem}")
        if not found[name]:
            settings.complain(section, name, "lists no package")
        for word in found[name]:
            if problem := package_problem(word):
                settings.complain(section, name, f"= {word}: {problem}")
    return found


def _path_problem(path: str) -> str:
    """What keeps a text from being the name, or the path, of a source repository; empty when nothing does."""
    return next(filter(None, map(package_problem, path.split("/"))), "")


def _sources(settings: Settings) -> tuple[str, ...]:
    return tuple(each.rstrip("/") for each in settings.words("registry", "sources"))


def _trusted_hosts(settings: Settings) -> tuple[str, ...]:
    """The hosts that may be at any address: the registries that the site names, and where they may send a builder."""
    allowed = settings.words("registry", "allowed_hosts")
    for word in allowed:
        if not re.fullmatch(r"[A-Za-z0-9.-]+(:[0-9]+)?|\[[0-9A-Fa-f:.]+\](:[0-9]+)?", word):
            settings.complain("registry", "allowed_hosts", f"= {word}: must be hosts, as auth.example.org or host:5000")
    registries = (each.partition("/")[0] for each in (settings.text("registry", "candidate"), *_sources(settings)))
    return tuple(dict.fromkeys([*registries, *allowed]))


def _access(settings: Settings, guard: AddressGuard) -> Access:
    return Access(
        settings.path("registry", "certificates"),
        settings.path("registry", "auth_file"),
        timeout=settings.number("registry", "timeout", int(COPY_TIMEOUT), unit="seconds"),
        patience=settings.number("registry", "patience", RETRY_TIMEOUT, unit="seconds", least=0),
        guard=guard,
    )


def _isolation(settings: Settings) -> Isolation | None:
    kind = settings.text("engine", "isolation") or "auto"
    runtime = settings.text("engine", "runtime")
    if kind == "chroot":
        settings.complain("engine", "isolation", "= chroot is not supported any more: remove it")
    elif kind not in ("auto", "oci"):
        settings.complain("engine", "isolation", f"= {kind}: must be auto or oci")
    elif kind == "oci" and not runtime:
        settings.complain("engine", "isolation", "= oci needs a runtime, runc or crun")
    return Isolation(runtime) if kind == "oci" else None


def _limits(settings: Settings) -> Limits:
    default = Limits()
    timeout = settings.number("limits", "build_timeout", default.build_timeout, unit="seconds")
    timeout_max = settings.number(
        "limits", "build_timeout_max", max(timeout, default.build_timeout_max), unit="seconds"
    )
    if timeout_max < timeout:
        settings.complain("limits", "build_timeout_max", f"= {timeout_max}: less than build_timeout, {timeout}")
    return Limits(
        build_timeout=timeout,
        build_timeout_max=timeout_max,
        build_size=settings.size("limits", "build_size", default.build_size),
        log_size=settings.size("limits", "log_size", default.log_size),
        free_space=settings.size("limits", "free_space", default.free_space),
        memory=settings.size("limits", "memory", default.memory),
        processes=settings.number("limits", "processes", default.processes, unit="processes", least=0),
        build_files=settings.number("limits", "build_files", default.build_files, unit="files"),
        free_files=settings.number("limits", "free_files", default.free_files, unit="inodes", least=0),
        base_image_size=settings.size("limits", "base_image_size", default.base_image_size),
        prepare_timeout=settings.number("limits", "prepare_timeout", default.prepare_timeout, unit="seconds"),
    )


def _content_generator(settings: Settings) -> ContentGenerator:
    section = "content_generator"
    generator = ContentGenerator(
        name=settings.text(section, "name") or "fedpkg-container",
        certificate=settings.path(section, "certificate"),
        keytab=settings.path(section, "keytab"),
        principal=settings.text(section, "principal"),
        server_ca=settings.path(section, "server_ca"),
        store_archives=settings.choice(section, "archives", ("store", "reference")) == "store",
    )
    if generator.certificate and generator.keytab:
        settings.complain(section, "keytab", "and certificate exclude each other")
    if bool(generator.keytab) != bool(generator.principal):
        settings.complain(section, "keytab", "and principal go together")
    return generator


def _lookaside(settings: Settings) -> Lookaside | None:
    url = settings.url("lookaside", "url")
    if not url:
        return None
    return Lookaside(
        url=url,
        namespaced=settings.choice("lookaside", "namespaced", ("yes", "no")) == "yes",
        hash=settings.choice("lookaside", "hash", ("sha512", "sha256", "md5")),
    )
