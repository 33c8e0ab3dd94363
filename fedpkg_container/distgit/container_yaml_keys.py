# SPDX-License-Identifier: GPL-2.0-or-later
"""The effect of each key of container.yaml: the source of the findings and of docs/reference/container-yaml.md.

Files written for OSBS name repositories that composes were made of. Here RUN installs from the repository of the build
tag. Keys that only select other repositories have no effect, with a warning; keys that would make the content of the
image different are refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any


class Effect(Enum):
    """What builders do with a key; the value is the heading used in the documentation."""

    SUPPORTED = "supported"
    REPLACED = "no effect"
    IGNORED = "ignored"
    DEPRECATED = "deprecated"
    REFUSED = "refused"


@dataclass(frozen=True)
class Key:
    """A key, or a mapping of which all keys have the same effect.

    :param name: dotted name
    :param values: possible values, for the documentation
    :param meaning: meaning in OSBS, for the documentation
    :param reason: what is used instead, why it is refused, or details of the support
    :param solution: what the user can do; for keys that are not supported
    :param unless: values without any effect, besides empty ones
    """

    name: str
    values: str
    meaning: str
    effect: Effect
    reason: str = ""
    solution: str = ""
    unless: tuple[Any, ...] = ()

    @property
    def path(self) -> tuple[str, ...]:
        """The names of the key and of the mappings that contain it."""
        return tuple(self.name.split("."))

    def applies_to(self, value: Any) -> bool:
        """Return whether a value has an effect in OSBS."""
        return value not in (None, "", [], {}, *self.unless)


_BUILD_TAG = "RUN installs from the repository of the build tag"
_DELETE = "delete the key, unless the file is also used by OSBS"
_CACHITO = "it requires a source fetching service (Cachito)"
_ARCHIVE = "add the sources to dist-git, or as an archive: fedpkg new-sources"

KEYS: tuple[Key, ...] = (
    Key("platforms.only", "an architecture, or a list", "build only these architectures of the build tag",
        Effect.SUPPORTED),
    Key("platforms.not", "an architecture, or a list", "do not build these architectures", Effect.SUPPORTED),
    Key("tags", "list", "floating tags of the image, instead of VERSION, `latest` and `additional-tags`",
        Effect.SUPPORTED, "tags with a hyphen, and tags that a registry does not accept, are skipped with a message"),
    Key("set_release_env", "name of a variable", "an ENV at the start of each stage that contains the release",
        Effect.SUPPORTED),
    Key("buildtime_limit", "seconds", "time limit of the build", Effect.SUPPORTED, "up to the site's limit"),
    Key("go", "`modules`: list of `module`, `archive`, `path`", "Go modules to record with the build",
        Effect.SUPPORTED, "recorded in `extra.image.go`"),
    Key("compose.packages", "list", "packages to include in a compose of the build tag", Effect.REPLACED,
        f"{_BUILD_TAG}, with all of its packages", _DELETE),
    Key("compose.pulp_repos", "true, false", "repositories of the content sets in content_sets.yml", Effect.REPLACED,
        _BUILD_TAG, _DELETE),
    Key("compose.ignore_absent_pulp_repos", "true, false", "skip content sets that do not exist", Effect.REPLACED,
        _BUILD_TAG, _DELETE),
    Key("compose.include_unpublished_pulp_repos", "true, false", "use unpublished content sets", Effect.REPLACED,
        _BUILD_TAG, _DELETE),
    Key("compose.build_only_content_sets", "architecture: list of names that end in `-rpms`",
        "content sets used only during the build", Effect.REPLACED, _BUILD_TAG, _DELETE),
    Key("compose.signing_intent", "text", "signatures that packages must have", Effect.REPLACED,
        f"{_BUILD_TAG}, whose packages may be unsigned", _DELETE),
    Key("compose.multilib_arches", "list", "architectures whose packages are added to a compose", Effect.REPLACED,
        f"{_BUILD_TAG}, with the packages of each architecture only", _DELETE),
    Key("compose.multilib_method", "list of `none`, `iso`, `runtime`, `devel`, `all`",
        "how packages of another architecture are selected", Effect.REPLACED, _BUILD_TAG, _DELETE),
    Key("compose.modules", "list", "module streams that packages come from", Effect.REFUSED,
        "packages of other streams would be installed", "delete the key if the build tag contains the right packages"),
    Key("compose.modular_koji_tags", "list of Koji tags, or true, false", "Koji tags that modules come from",
        Effect.REFUSED, "packages of other streams would be installed",
        "delete the key if the build tag contains the right packages", (False,)),
    Key("compose.module_resolve_tags", "list of Koji tags, or true, false",
        "Koji tags that resolve module dependencies", Effect.REFUSED, "packages of other streams would be installed",
        "delete the key if the build tag contains the right packages", (False,)),
    Key("compose.inherit", "true, false", "use the repositories and composes of the parent's build", Effect.REFUSED,
        "other versions of packages would be installed",
        "delete the key, and pass the repositories of the parent's build with --repo-url", (False,)),
    Key("remote_source", "`repo`, `ref` (40 letters and digits), `pkg_managers`, `flags`, `packages`",
        "sources that are fetched from another location", Effect.REFUSED, _CACHITO, _ARCHIVE),
    Key("remote_sources", "list of `name` and `remote_source`", "several remote sources", Effect.REFUSED, _CACHITO,
        _ARCHIVE),
    Key("remote_sources_version", "1 or 2", "version of the format of remote sources", Effect.IGNORED,
        "it only applies to remote sources", "delete it"),
    Key("operator_manifests", "`manifests_dir`, `enable_digest_pinning`, `enable_repo_replacements`,"
        " `enable_registry_replacements`, `repo_replacements`, `skip_all`", "modifications of an operator bundle",
        Effect.REFUSED, "it requires an operator manifest service", "delete the key, and commit the final manifests"),
    Key("flatpak", "any value", "settings of `flatpak-build`", Effect.REFUSED, "it requires a module build service",
        "build the Flatpak in another way, and delete the key"),
    Key("autorebuild", "`from_latest`, `add_timestamp_to_release`, `ignore_isolated_builds`",
        "rebuild the image when a parent image changes", Effect.DEPRECATED,
        "images are not rebuilt automatically", "delete it"),
    Key("image_build_method", "`buildah_bud`, `docker_api`, `imagebuilder`", "build tool of OSBS", Effect.DEPRECATED,
        "images are always built by buildah", "delete it"),
    Key("version", "1 or higher", "version of the format", Effect.DEPRECATED,
        "the version of the image is that of the label version in the Dockerfile", "delete it"),
)  # fmt: skip


def find_key(path: tuple[str, ...]) -> Key | None:
    """Return the entry for a key; that of the mapping if its keys have no entries; None if there is none."""
    names = [".".join(path[:length]) for length in range(1, len(path) + 1)]
    return next((key for key in KEYS if key.name in names), None)
