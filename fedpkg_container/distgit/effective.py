# SPDX-License-Identifier: GPL-2.0-or-later
"""The effective configuration of a checkout: each setting with its value and origin."""

from __future__ import annotations

import configparser
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedpkg_container.distgit.additional_tags import FILE as TAGS_FILE
from fedpkg_container.distgit.additional_tags import AdditionalTags
from fedpkg_container.distgit.checkout import Checkout
from fedpkg_container.distgit.container_yaml import FILE as YAML_FILE
from fedpkg_container.distgit.container_yaml import ContainerYaml
from fedpkg_container.distgit.container_yaml_keys import Effect, find_key
from fedpkg_container.distgit.container_yaml_schema import SCHEMA
from fedpkg_container.distgit.dockerfile import FILE, Dockerfile
from fedpkg_container.distgit.safe_read import decode, read_bytes
from fedpkg_container.distgit.yaml_document import to_plain
from fedpkg_container.errors import RefusedError
from fedpkg_container.model.build import Target
from fedpkg_container.model.nvr import COMPONENT_LABEL, OLD_LABEL_NAMES, sanitize_tag
from fedpkg_container.model.platforms import ALL_PLATFORMS
from fedpkg_container.model.reference import is_floating_tag

AUTOREBUILD_FILE = ".osbs-repo-config"
SECTION, OPTION = "autorebuild", "enabled"


def read_autorebuild(directory: Path) -> bool | None:
    """Return whether the file enables automatic rebuilds; None if it does not set it (the default is no).

    :raises RefusedError: if the file cannot be read
    """
    content = read_bytes(directory, AUTOREBUILD_FILE)
    parser = configparser.ConfigParser()
    try:
        parser.read_string(decode(content or b"", AUTOREBUILD_FILE), source=AUTOREBUILD_FILE)
        return parser.getboolean(SECTION, OPTION) if parser.has_option(SECTION, OPTION) else None
    except (configparser.Error, ValueError) as error:
        message = " ".join(str(error).split())
        raise RefusedError(
            f"cannot read {AUTOREBUILD_FILE}: {message}", solution=f"write [{SECTION}] and {OPTION} = true"
        ) from error


DEFAULT = "default"
#: Settings from labels of the Dockerfile → the labels.
LABELS = {"package": COMPONENT_LABEL, "name": "name", "version": "version", "release": "release"}
#: Settings from git, from the site's configuration, and from the hub.
OF_CHECKOUT = ("namespace", "repository", "branch", "target")
OF_SITE = ("profile", "hub")
OF_HUB = ("build-tag", "destination-tag", "arches")
#: Settings that depend on labels, and thereby on the ENV of parent images.
OF_LABELS = (*LABELS, "floating-tags")
#: All settings except the keys of container.yaml.
SETTINGS = (*LABELS, "base", "parents", *OF_CHECKOUT, *OF_SITE, *OF_HUB, "floating-tags", "autorebuild")
#: Keys of container.yaml that are shown even if they are not set.
ALWAYS = ("platforms.only", "platforms.not")


@dataclass(frozen=True)
class Setting:
    """A setting.

    :param value: text, list of texts, boolean, or the value in container.yaml; None if not set or unknown
    :param origin: where it is set: ``Dockerfile:3``, ``container.yaml:2``, ``git``, ``hub``, ``default``
    """

    key: str
    value: Any
    origin: str


class EffectiveConfig:
    """The configuration in the files of a checkout.

    The settings of unreadable files are unknown; ``notes`` contains the reasons.
    """

    def __init__(self, directory: Path) -> None:
        self.notes: list[str] = []
        self.container_yaml = ContainerYaml.read(directory)
        self._tags = AdditionalTags.read(directory)
        self._dockerfile: Dockerfile | None = None
        self._autorebuild: bool | None = None
        try:
            self._dockerfile = Dockerfile.read(directory)
        except RefusedError as error:
            self.notes.append(error.reason)
        try:
            self._autorebuild = read_autorebuild(directory)
        except RefusedError as error:
            self.notes.append(error.reason)
        findings = (*self.container_yaml.findings, *self._tags.findings)
        broken = sorted({finding.file for finding in findings if finding.severity == "error"})
        if broken:
            verb = "has" if len(broken) == 1 else "have"
            self.notes.append(f"{' and '.join(broken)} {verb} errors: see --check")

    def resolve(self, read_parents: Callable[[Dockerfile], Dockerfile]) -> None:
        """Resolve the variables that the Dockerfile takes from its parent images.

        :param read_parents: returns a Dockerfile read with the ENV of its parent images, as far as they can be read
        """
        if self._dockerfile is not None:
            self._dockerfile = read_parents(self._dockerfile)

    def of_dockerfile(self) -> Iterator[Setting]:
        """Yield settings from the Dockerfile: labels and parent images."""
        file = self._dockerfile.file if self._dockerfile else FILE
        labels = self._dockerfile.label_details if self._dockerfile else {}
        for key, name in LABELS.items():
            candidates = (labels.get(name), labels.get(OLD_LABEL_NAMES[name]))
            label = next(
                (candidate for candidate in candidates if candidate and (candidate.value or candidate.unset)), None
            )
            if label and (label.unset or label.unknown):
                names = ", ".join(f"${name}" for name in sorted(label.unset or label.unknown))
                reason = "without a value" if label.unset else "of the base image"
                yield Setting(key, None, f"{file}:{label.line}, {names} {reason}")
            elif label:
                names = ", ".join(f"${name}" for name in sorted(label.overridable))
                exception = f", unless the base image sets {names}" if names else ""
                yield Setting(key, label.value, f"{file}:{label.line}{exception}")
            else:
                yield Setting(key, None, f"{DEFAULT}: assigned by Koji" if key == "release" else file)
        stages = self._dockerfile.stages if self._dockerfile else []
        parents = self._dockerfile.parents if self._dockerfile else []
        base = self._dockerfile.base if self._dockerfile else ""
        lines = [str(stage.line) for stage in stages if stage.image in parents and not stage.is_earlier_stage]
        line = next((f":{stage.line}" for stage in stages if base and stage.image == base), "")
        yield Setting("base", base or None, f"{file}{line}")
        yield Setting("parents", parents or None, f"{file}:{','.join(lines)}" if lines else file)

    def of_files(self) -> Iterator[Setting]:
        """Yield settings from the other files."""
        version = next((setting.value for setting in self.of_dockerfile() if setting.key == "version"), None)
        default_tags = dict.fromkeys([*([sanitize_tag(version)] if version else []), "latest", *self._tags.tags])
        extra = f", {TAGS_FILE}" if self._tags.tags else ""
        if requested := self.container_yaml.tags:
            yield Setting("floating-tags", [tag for tag in requested if is_floating_tag(tag)], YAML_FILE)
        else:
            yield Setting("floating-tags", list(default_tags), f"{DEFAULT}{extra}")
        enabled = self._autorebuild
        yield Setting("autorebuild", bool(enabled), DEFAULT if enabled is None else AUTOREBUILD_FILE)

    def of_container_yaml(self) -> Iterator[Setting]:
        """Yield the keys set in container.yaml, and the platforms in any case."""
        for path, value in _leaves(self.container_yaml.values, SCHEMA):
            line = self.container_yaml.document.line(path)
            yield Setting(".".join(path), to_plain(value), f"{YAML_FILE}:{line}{_effect(path, value)}")

    def arches(self, target: Target | None) -> Setting:
        """Return the architectures of the build tag that are not excluded by the platforms."""
        if target is None:
            return Setting("arches", None, "hub")
        platforms = self.container_yaml.platforms
        origin = "hub" if platforms == ALL_PLATFORMS else f"hub, {YAML_FILE}"
        return Setting("arches", platforms.select(target.arches), origin)

    def settings(self, checkout: Checkout | None, site: list[Setting], target: Target | None) -> list[Setting]:
        """Return all settings, in display order.

        :param checkout: the checkout; None if it cannot be read
        :param site: settings from the site's configuration, and the target
        :param target: the target; None if the hub was not queried
        """
        # The key version in container.yaml is not the image's version; it is deprecated, and reported as a finding.
        of_yaml = {setting.key: setting for setting in self.of_container_yaml() if setting.key not in SETTINGS}
        platforms = [of_yaml.pop(key, Setting(key, None, DEFAULT)) for key in ALWAYS]
        return [
            *self.of_dockerfile(),
            Setting("namespace", checkout.namespace or None if checkout else None, "git"),
            Setting("repository", checkout.name if checkout else None, "git"),
            Setting("branch", checkout.branch or None if checkout else None, "git"),
            *site,
            Setting("build-tag", target.build_tag if target else None, "hub"),
            Setting("destination-tag", target.destination_tag if target else None, "hub"),
            self.arches(target),
            *platforms,
            *self.of_files(),
            *of_yaml.values(),
        ]


def _effect(path: tuple[str, ...], value: Any) -> str:
    """Return what builders do with a key of container.yaml that has no effect; empty for other keys."""
    key = find_key(path)
    if key is None or key.effect is Effect.SUPPORTED or (path == key.path and not key.applies_to(value)):
        return ""
    return ", refused" if key.effect is Effect.REFUSED else ", ignored"


def _leaves(
    values: Any, schema: dict[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yield each value with its path: mappings with keys known to the schema are flattened."""
    if isinstance(values, dict) and "properties" in schema:
        for key, value in values.items():
            yield from _leaves(value, schema["properties"].get(key, {}), (*path, key))
    elif path and values is not None:
        yield path, values
