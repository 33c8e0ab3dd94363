"""The effective configuration of a checkout: each value, and where it comes from."""

from __future__ import annotations

import configparser
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedpkg_container.distgit.additional_tags import FILE as TAGS_FILE
from fedpkg_container.distgit.additional_tags import AdditionalTags
from fedpkg_container.distgit.checkout import Checkout
from fedpkg_container.distgit.container_yaml import FILE as YAML_FILE
from fedpkg_container.distgit.container_yaml import ContainerYaml
from fedpkg_container.distgit.container_yaml_schema import DEPRECATED, IGNORED, SCHEMA, UNAVAILABLE
from fedpkg_container.distgit.dockerfile import Dockerfile
from fedpkg_container.distgit.safe_read import decode, read_bytes
from fedpkg_container.distgit.yaml_document import plain
from fedpkg_container.errors import RefusedError
from fedpkg_container.model.build import Target
from fedpkg_container.model.nvr import COMPONENT, OLDER, legal_tag
from fedpkg_container.model.platforms import EVERYWHERE
from fedpkg_container.model.reference import is_floating_tag

AUTOREBUILD_FILE = ".osbs-repo-config"
SECTION, OPTION = "autorebuild", "enabled"


def read_autorebuild(folder: Path) -> bool | None:
    """Whether the file turns rebuilds on; None when it says nothing, which means no.

    :raises RefusedError: the file cannot be read
    """
    content = read_bytes(folder, AUTOREBUILD_FILE)
    parser = configparser.ConfigParser()
    try:
        parser.read_string(decode(content or b"", AUTOREBUILD_FILE), source=AUTOREBUILD_FILE)
        return parser.getboolean(SECTION, OPTION) if parser.has_option(SECTION, OPTION) else None
    except (configparser.Error, ValueError) as error:
        said = " ".join(str(error).split())
        raise RefusedError(
            f"{AUTOREBUILD_FILE} cannot be read: {said}", solution=f"write [{SECTION}] and {OPTION} = true"
        ) from error


DEFAULT = "default"
#: Settings that labels of the Dockerfile give.
LABELS = {"package": COMPONENT, "name": "name", "version": "version", "release": "release"}
#: Settings that git and the site give, and those that only the hub knows.
OF_CHECKOUT = ("namespace", "repository", "branch", "target")
OF_SITE = ("profile", "hub")
OF_HUB = ("build-tag", "destination-tag", "arches")
#: All settings besides the keys of container.yaml.
SETTINGS = (*LABELS, "base", "parents", *OF_CHECKOUT, *OF_SITE, *OF_HUB, "floating-tags", "autorebuild")
#: Keys of container.yaml that are shown even when they are not set.
ALWAYS = ("platforms.only", "platforms.not")


@dataclass(frozen=True)
class Setting:
    """One value.

    :param value: text, a list of texts, true or false, or what container.yaml holds; None: not set, or not known
    :param origin: where it comes from: ``Dockerfile:3``, ``container.yaml:2``, ``git``, ``hub``, ``default``
    """

    key: str
    value: Any
    origin: str


class Effective:
    """What the files of a checkout say.

    Files that cannot be read leave their settings unknown; ``notes`` says why.
    """

    def __init__(self, folder: Path) -> None:
        self.notes: list[str] = []
        self.container_yaml = ContainerYaml.read(folder)
        self._tags = AdditionalTags.read(folder)
        self._dockerfile: Dockerfile | None = None
        self._autorebuild: bool | None = None
        try:
            self._dockerfile = Dockerfile.read(folder)
        except RefusedError as error:
            self.notes.append(error.reason)
        try:
            self._autorebuild = read_autorebuild(folder)
        except RefusedError as error:
            self.notes.append(error.reason)
        broken = [each for each in (*self.container_yaml.findings, *self._tags.findings) if each.severity == "error"]
        if broken:
            self.notes.append(f"{' and '.join(sorted({each.file for each in broken}))} has errors: see --check")

    def of_dockerfile(self) -> Iterator[Setting]:
        """What the Dockerfile says: names and parents."""
        labels = self._dockerfile.label_places if self._dockerfile else {}
        for key, name in LABELS.items():
            label = next((labels[each] for each in (name, OLDER[name]) if each in labels and labels[each].value), None)
            if label:
                yield Setting(key, label.value, f"Dockerfile:{label.line}")
            else:
                yield Setting(key, None, f"{DEFAULT}: Koji counts" if key == "release" else "Dockerfile")
        stages = self._dockerfile.stages if self._dockerfile else []
        parents = self._dockerfile.parents if self._dockerfile else []
        base = self._dockerfile.base if self._dockerfile else ""
        places = [str(stage.line) for stage in stages if stage.image in parents and not stage.is_earlier_stage]
        line = next((f":{stage.line}" for stage in stages if base and stage.image == base), "")
        yield Setting("base", base or None, f"Dockerfile{line}")
        yield Setting("parents", parents or None, f"Dockerfile:{','.join(places)}" if places else "Dockerfile")

    def of_files(self) -> Iterator[Setting]:
        """What a build does with the other files."""
        version = next((each.value for each in self.of_dockerfile() if each.key == "version"), None)
        tags = dict.fromkeys([*([legal_tag(version)] if version else []), "latest", *self._tags.tags])
        extra = f", {TAGS_FILE}" if self._tags.tags else ""
        asked = self.container_yaml.tags
        own = [tag for tag in asked if is_floating_tag(tag)]
        yield Setting("floating-tags", own if asked else list(tags), YAML_FILE if asked else f"{DEFAULT}{extra}")
        on = self._autorebuild
        yield Setting("autorebuild", bool(on), DEFAULT if on is None else AUTOREBUILD_FILE)

    def of_container_yaml(self) -> Iterator[Setting]:
        """The keys of container.yaml that are set, and the platforms in any case."""
        for path, value in _leaves(self.container_yaml.values, SCHEMA):
            line = self.container_yaml.document.line(path)
            yield Setting(".".join(path), plain(value), f"{YAML_FILE}:{line}{_effect(path[0])}")

    def arches(self, target: Target | None) -> Setting:
        """The arches of the build tag, without those that the platforms leave out."""
        if target is None:
            return Setting("arches", None, "hub")
        platforms = self.container_yaml.platforms
        origin = "hub" if platforms == EVERYWHERE else f"hub, {YAML_FILE}"
        return Setting("arches", platforms.choose(target.arches), origin)

    def settings(self, checkout: Checkout | None, site: list[Setting], target: Target | None) -> list[Setting]:
        """Everything, in the order in which it is shown.

        :param checkout: None when it cannot be read
        :param site: what the site's configuration says, with the target
        :param target: what the hub knows; None when it is not known
        """
        # The key version of container.yaml is not that of the image; it is deprecated, and a finding says so.
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


def _effect(key: str) -> str:
    """What becomes of a key of container.yaml that builders do not act on; empty for the others."""
    if key in UNAVAILABLE:
        return ", refused"
    return ", without effect" if key in IGNORED or key in DEPRECATED else ""


def _leaves(values: Any, schema: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value under its own key: mappings whose keys are known are taken apart."""
    if isinstance(values, dict) and "properties" in schema:
        for key, value in values.items():
            yield from _leaves(value, schema["properties"].get(key, {}), (*path, key))
    elif path and values is not None:
        yield path, values
