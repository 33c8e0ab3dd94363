"""Configuration of the builders: one INI file beside those of Koji's builder plugins."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from fedpkg_container.cluster import settings as cluster_settings
from fedpkg_container.cluster.settings import ClusterConfig, read_cluster_config
from fedpkg_container.engines.cgroups import half_of_memory
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

#: The default path, and the environment variable that overrides it.
CONFIG_PATH = Path("/etc/kojid/plugins/builder_containerbuild.conf")
CONFIG_VARIABLE = "BUILDER_CONTAINERBUILD_CONF"

#: Sources of floating tags.
FLOATING_TAG_SOURCES = ("version", "latest", "container-yaml", "additional-tags")
#: Network of RUN: ``auto`` depends on the build's repositories, the others are fixed.
NETWORK_MODES = ("auto", "none", "isolated", "host")
#: Sections with arbitrary option names.
_FREE_SECTIONS = ("labels", "build_arguments", "components", "repositories")
_KNOWN = {
    "registry": {
        "candidate",
        "certificates",
        "auth_file",
        "sources",
        "formats",
        "timeout",
        "retry_timeout",
        "allowed_hosts",
    },
    "engine": {"kind", "state", "account", "isolation", "runtime", "network", "denied_networks", "base_images_keep"},
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
    cluster_settings.SECTION: set(cluster_settings.OPTIONS),
    **{section: set() for section in _FREE_SECTIONS},
}
_GIGABYTE = 10**9
#: Default of ``retry_timeout``, seconds.
RETRY_TIMEOUT = 60

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """Resource limits of a build on one architecture; named after the options of ``[limits]``.

    :param build_timeout: seconds for RUN, unless container.yaml requests another time
    :param build_timeout_max: seconds, the most that container.yaml may request
    :param build_size: bytes that a build may write into its layers
    :param log_size: bytes of the build log
    :param free_space: bytes that must stay free in the builds' file system
    :param memory: bytes that a worker may use; 0 for no limit
    :param processes: processes and threads of a worker; 0 for no limit
    :param build_files: files and directories that a build may create
    :param free_files: inodes that must stay free in the builds' file system
    :param base_image_size: bytes of an unpacked base image
    :param prepare_timeout: seconds for all downloads before RUN: parent images, .repo files, sources, base images
    """

    build_timeout: int = 4 * 3600
    build_timeout_max: int = 4 * 3600
    build_size: int = 10 * _GIGABYTE
    log_size: int = _GIGABYTE
    free_space: int = _GIGABYTE
    memory: int = field(default_factory=half_of_memory)
    processes: int = 4096
    build_files: int = 1_000_000
    free_files: int = 10_000
    base_image_size: int = 10 * _GIGABYTE
    prepare_timeout: int = 3600

    def preparation_deadline(self) -> Deadline:
        """Return the deadline for everything before RUN, starting now."""
        return Deadline(
            "downloading the build's inputs",
            self.prepare_timeout,
            "build again when the registries and servers are faster; the limit is set by the site (prepare_timeout)",
        )

    def timeout_for(self, requested: int) -> int:
        """Return the time limit of a build, in seconds.

        :param requested: seconds requested by container.yaml; 0 for the default
        """
        return min(requested or self.build_timeout, self.build_timeout_max)


@dataclass(frozen=True)
class ContentGenerator:
    """The content generator and its shared account, which imports builds.

    :param name: name of the content generator
    :param certificate: PEM file to log in with; with neither this nor a keytab, the builder's own session imports
    :param keytab: Kerberos keytab of ``principal``
    :param server_ca: CA of the hub's certificate; None for the system's CAs
    :param store_archives: whether Koji stores the images' archives, or only their metadata
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

    :param url: download URL
    :param namespaced: whether paths in the cache start with the dist-git namespace
    :param hash: hash type of entries that name none
    """

    url: str
    namespaced: bool = True
    hash: str = "sha512"


@dataclass(frozen=True)
class BuilderConfig:
    """The configuration of a site's builders.

    :param candidate: candidate registry that images are pushed to, host and port
    :param sources: registries and repositories that FROM may name, e.g. ``registry.example.org/base``; empty for all
    :param formats: manifest formats; tags point to the first
    :param state: directory for the builds' layers
    :param account: user whose subordinate IDs the workers have
    :param isolation: how RUN is isolated; None to detect it at the first build
    :param network: network of RUN: auto, none, isolated or host
    :param denied_networks: networks that an isolated network cannot reach, in addition to the builder itself
    :param base_images_keep: days that a base image stays on a builder after its last use; 0 for no limit
    :param floating_tag_sources: sources of floating tags
    :param lookaside: None if the site has no lookaside cache
    :param labels: labels added to every image
    :param build_arguments: build arguments of every build
    :param components: source repository, by name or path → packages that it may build in addition to its own
    :param repositories: registry repository → packages that it is reserved for
    :param cluster: where architectures are built; None: on the builder
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
    cluster: ClusterConfig | None = None

    @property
    def address_guard(self) -> AddressGuard:
        """The addresses that may be connected to on behalf of a packager, whatever their names."""
        return AddressGuard(self.denied_networks)

    def preparation_access(self, deadline: Deadline) -> Access:
        """Return registry access for the preparation of a build.

        It fails at once instead of retrying, as no work would be lost.

        :param deadline: end of all requests
        """
        return replace(self.access.without_retries(), deadline=deadline)

    def allows_parent(self, image: ImageReference) -> bool:
        """Return whether FROM may name this image."""
        name = f"{image.registry}/{image.repository}"
        return not self.sources or any(name == source or name.startswith(f"{source}/") for source in self.sources)


def config_path() -> Path:
    """Return the path of the configuration file: the one named by ``CONFIG_VARIABLE``, or ``CONFIG_PATH``."""
    return Path(os.environ.get(CONFIG_VARIABLE) or CONFIG_PATH)


def read_builder_config(path: Path | None = None) -> BuilderConfig:
    """Read the configuration file.

    :param path: the file; None for ``config_path()``
    :raises ConfigurationError: if the file cannot be read or has invalid options; all of them are named
    """
    path = path or config_path()
    settings = Settings.read(path)
    denied = settings.networks("engine", "denied_networks")
    config = BuilderConfig(
        candidate=settings.registry("registry", "candidate"),
        access=_access(settings, AddressGuard(denied, _trusted_hosts(settings))),
        sources=_sources(settings),
        formats=settings.subset("registry", "formats", FORMATS, default=FORMATS[:1]),
        state=settings.path("engine", "state", exists=False) or Path("/var/lib/fedpkg-container"),
        account=settings.text("engine", "account") or ACCOUNT,
        isolation=_isolation(settings),
        network=settings.choice("engine", "network", NETWORK_MODES),
        denied_networks=denied,
        base_images_keep=settings.number("engine", "base_images_keep", 30, unit="days", minimum=0),
        limits=_limits(settings),
        content_generator=_content_generator(settings),
        floating_tag_sources=frozenset(
            settings.subset("tags", "floating", FLOATING_TAG_SOURCES, default=FLOATING_TAG_SOURCES)
        ),
        lookaside=_lookaside(settings),
        labels=settings.section("labels"),
        build_arguments=settings.section("build_arguments"),
        components=_package_lists(settings, "components", _path_problem),
        repositories=_package_lists(settings, "repositories", repository_problem),
        cluster=read_cluster_config(settings),
    )
    arch_options = {cluster_settings.SECTION: set(cluster_settings.ARCH_OPTIONS)}
    problems = settings.problems(_KNOWN, free=_FREE_SECTIONS, kinds=arch_options)
    if problems:
        raise ConfigurationError(f"{path}: " + "; ".join(problems), solution="see docs/howto/site.md")
    return config


def _package_lists(settings: Settings, section: str, problem_of: Callable[[str], str]) -> dict[str, tuple[str, ...]]:
    """Return a section that lists packages per repository.

    :param problem_of: returns why a text is not a valid repository, or an empty text
    """
    packages = {}
    for name in settings.section(section):
        packages[name] = settings.words(section, name)
        if problem := problem_of(name):
            settings.add_problem(section, name, f"is not a valid repository: it {problem}")
        if not packages[name]:
            settings.add_problem(section, name, "lists no package")
        for word in packages[name]:
            if problem := package_problem(word):
                settings.add_problem(section, name, f"= {word}: {problem}")
    return packages


def _path_problem(path: str) -> str:
    """Return why a text is not a valid name or path of a source repository; empty if it is."""
    return next(filter(None, map(package_problem, path.split("/"))), "")


def _sources(settings: Settings) -> tuple[str, ...]:
    return tuple(source.rstrip("/") for source in settings.words("registry", "sources"))


def _trusted_hosts(settings: Settings) -> tuple[str, ...]:
    """Return the hosts that may have any address: the configured registries, and the hosts they may redirect to."""
    allowed = settings.words("registry", "allowed_hosts")
    for word in allowed:
        if not re.fullmatch(r"[A-Za-z0-9.-]+(:[0-9]+)?|\[[0-9A-Fa-f:.]+\](:[0-9]+)?", word):
            settings.add_problem(
                "registry", "allowed_hosts", f"= {word}: must be hosts, e.g. auth.example.org or host:5000"
            )
    registries = (
        reference.partition("/")[0] for reference in (settings.text("registry", "candidate"), *_sources(settings))
    )
    return tuple(dict.fromkeys([*registries, *allowed]))


def _access(settings: Settings, guard: AddressGuard) -> Access:
    settings.renamed("registry", "patience", "retry_timeout")
    return Access(
        settings.path("registry", "certificates"),
        settings.path("registry", "auth_file"),
        timeout=settings.number("registry", "timeout", int(COPY_TIMEOUT), unit="seconds"),
        retry_timeout=settings.number("registry", "retry_timeout", RETRY_TIMEOUT, unit="seconds", minimum=0),
        guard=guard,
    )


def _isolation(settings: Settings) -> Isolation | None:
    isolation = settings.text("engine", "isolation") or "auto"
    runtime = settings.text("engine", "runtime")
    if isolation == "chroot":
        settings.add_problem("engine", "isolation", "= chroot is not supported: remove the option")
    elif isolation not in ("auto", "oci"):
        settings.add_problem("engine", "isolation", f"= {isolation}: must be auto or oci")
    elif isolation == "oci" and not runtime:
        settings.add_problem("engine", "isolation", "= oci requires runtime = runc or crun")
    return Isolation(runtime) if isolation == "oci" else None


def _limits(settings: Settings) -> Limits:
    default = Limits()
    timeout = settings.number("limits", "build_timeout", default.build_timeout, unit="seconds")
    timeout_max = settings.number(
        "limits", "build_timeout_max", max(timeout, default.build_timeout_max), unit="seconds"
    )
    if timeout_max < timeout:
        settings.add_problem("limits", "build_timeout_max", f"= {timeout_max}: less than build_timeout, {timeout}")
    return Limits(
        build_timeout=timeout,
        build_timeout_max=timeout_max,
        build_size=settings.size("limits", "build_size", default.build_size),
        log_size=settings.size("limits", "log_size", default.log_size),
        free_space=settings.size("limits", "free_space", default.free_space),
        memory=settings.size("limits", "memory", default.memory),
        processes=settings.number("limits", "processes", default.processes, unit="processes", minimum=0),
        build_files=settings.number("limits", "build_files", default.build_files, unit="files"),
        free_files=settings.number("limits", "free_files", default.free_files, unit="inodes", minimum=0),
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
        settings.add_problem(section, "keytab", "and certificate are mutually exclusive")
    if bool(generator.keytab) != bool(generator.principal):
        settings.add_problem(section, "keytab", "and principal must be set together")
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
