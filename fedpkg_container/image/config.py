# SPDX-License-Identifier: GPL-2.0-or-later
"""Configuration of the builders: one INI file beside those of Koji's builder plugins."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from fedpkg_container.cluster.settings import ClusterConfig, read_cluster_config
from fedpkg_container.engines.cgroups import half_of_memory
from fedpkg_container.engines.isolation import Isolation
from fedpkg_container.errors import ConfigurationError
from fedpkg_container.image.config_keys import KEYS
from fedpkg_container.model.limits import Deadline
from fedpkg_container.model.nvr import package_problem, repository_problem
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.address_guard import AddressGuard
from fedpkg_container.registry.config_keys import ACCESS_KEYS
from fedpkg_container.registry.skopeo import Access
from fedpkg_container.settings import Settings, defaults

#: The default path, and the environment variable that overrides it.
CONFIG_PATH = Path("/etc/kojid/plugins/builder_containerbuild.conf")
CONFIG_VARIABLE = "BUILDER_CONTAINERBUILD_CONF"
#: Default of ``build_timeout_max``, unless ``build_timeout`` is longer, seconds.
_BUILD_TIMEOUT_MAX = 4 * 3600
_LIMITS, _LOOKASIDE = defaults(KEYS, "limits"), defaults(KEYS, "lookaside")


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
    :param prepare_timeout: seconds for all downloads before RUN: git, parent images, .repo files, sources, base images
    """

    build_timeout: int = _LIMITS["build_timeout"]
    build_timeout_max: int = _BUILD_TIMEOUT_MAX
    build_size: int = _LIMITS["build_size"]
    log_size: int = _LIMITS["log_size"]
    free_space: int = _LIMITS["free_space"]
    memory: int = field(default_factory=half_of_memory)
    processes: int = _LIMITS["processes"]
    build_files: int = _LIMITS["build_files"]
    free_files: int = _LIMITS["free_files"]
    base_image_size: int = _LIMITS["base_image_size"]
    prepare_timeout: int = _LIMITS["prepare_timeout"]

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
    :param archives: whether Koji stores the images' archives, or only their metadata
    """

    name: str
    certificate: Path | None
    keytab: Path | None
    principal: str
    server_ca: Path | None
    archives: bool


@dataclass(frozen=True)
class Lookaside:
    """The lookaside cache.

    :param url: download URL
    :param namespaced: whether paths in the cache start with the dist-git namespace
    :param hash: hash type of entries that name none
    """

    url: str
    namespaced: bool = _LOOKASIDE["namespaced"]
    hash: str = _LOOKASIDE["hash"]


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
    settings = Settings.read(path, KEYS)
    registry, engine = settings["registry"], settings["engine"]
    sources = tuple(source.rstrip("/") for source in registry["sources"])
    trusted = [*(name.partition("/")[0] for name in (registry["candidate"], *sources)), *registry["allowed_hosts"]]
    access = Access(
        **{key.name: registry[key.name] for key in ACCESS_KEYS},
        guard=AddressGuard(engine["denied_networks"], tuple(dict.fromkeys(trusted))),
        blob_cache=registry["blob_cache"],
    )
    config = BuilderConfig(
        candidate=registry["candidate"],
        access=access,
        sources=sources,
        formats=registry["formats"],
        state=engine["state"],
        account=engine["account"],
        isolation=_isolation(settings),
        network=engine["network"],
        denied_networks=engine["denied_networks"],
        base_images_keep=engine["base_images_keep"],
        limits=_limits(settings),
        content_generator=_content_generator(settings),
        floating_tag_sources=frozenset(settings["tags"]["floating"]),
        lookaside=Lookaside(**settings["lookaside"]) if settings["lookaside"]["url"] else None,
        labels=settings["labels"],
        build_arguments=settings["build_arguments"],
        components=_package_lists(settings, "components", _path_problem),
        repositories=_package_lists(settings, "repositories", repository_problem),
        cluster=read_cluster_config(settings),
    )
    if problems := settings.problems():
        raise ConfigurationError(f"{path}: " + "; ".join(problems), solution="see docs/howto/site.md")
    return config


def _package_lists(settings: Settings, section: str, problem_of: Callable[[str], str]) -> dict[str, tuple[str, ...]]:
    """Return a section that lists packages per repository.

    :param problem_of: returns why a text is not a valid repository, or an empty text
    """
    for name in settings[section]:
        if problem := problem_of(name):
            settings.add_problem(section, name, f"is not a valid repository: it {problem}")
        if not settings.text(section, name):
            settings.add_problem(section, name, "lists no package")
    return settings[section]


def _path_problem(path: str) -> str:
    """Return why a text is not a valid name or path of a source repository; empty if it is."""
    return next(filter(None, map(package_problem, path.split("/"))), "")


def _isolation(settings: Settings) -> Isolation | None:
    engine = settings["engine"]
    if engine["isolation"] != "oci":
        return None
    if not engine["runtime"]:
        settings.add_problem("engine", "isolation", "= oci requires runtime = runc or crun")
    return Isolation(engine["runtime"])


def _limits(settings: Settings) -> Limits:
    values = {name: value for name, value in settings["limits"].items() if value is not None}
    timeout = values["build_timeout"]
    longest = values.setdefault("build_timeout_max", max(timeout, _BUILD_TIMEOUT_MAX))
    if longest < timeout:
        settings.add_problem("limits", "build_timeout_max", f"= {longest}: less than build_timeout, {timeout}")
    return Limits(**values)


def _content_generator(settings: Settings) -> ContentGenerator:
    section = "content_generator"
    generator = ContentGenerator(**settings[section])
    if generator.certificate and generator.keytab:
        settings.add_problem(section, "keytab", "and certificate are mutually exclusive")
    if bool(generator.keytab) != bool(generator.principal):
        settings.add_problem(section, "keytab", "and principal must be set together")
    return generator
