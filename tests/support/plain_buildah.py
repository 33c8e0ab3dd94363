# SPDX-License-Identifier: GPL-2.0-or-later
"""buildah without our engine, with a separate store: its results are compared with what our engine expects."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union

from fedpkg_container.distgit.dockerfile_facts import BuildFacts, ParentConfig
from fedpkg_container.engines import versions
from fedpkg_container.model.platforms import Platform
from fedpkg_container.process import run
from tests.support.waiting import PATIENCE

#: Content of a file, a link as a tuple with its target, or None for an empty directory.
Entry = Union[str, tuple[str], None]

#: Files of every context of ``DockerfileBuilds``: name → content.
CONTEXT = {"a": "a", "b": "b", "1": "one", "x-1": "x", "bin-amd64": "binary", "a b": "space", "sub/c": "c"}
#: Its parent images: name → Dockerfile.
PARENTS = {
    "localhost/plain:1": "FROM scratch\nENV FGC=f41 NAME=base DISTTAG=fc41\nLABEL which=plain\n",
    "localhost/trigger:1": (
        "FROM scratch\nENV FGC=f40 PATH=/bin EMPTY=\nLABEL which=trigger\n"
        'ONBUILD ARG T=7\nONBUILD ENV O="$FGC.$T"\nONBUILD LABEL o=$O p=$PATH\n'
    ),
}
_LABEL = "io.buildah.version"


def write_tree(directory: Path, entries: Mapping[str, Entry]) -> None:
    """Create files, links and directories."""
    for name, entry in entries.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(entry, str):
            path.write_text(entry)
        elif entry is None:
            path.mkdir()
        else:
            path.symlink_to(entry[0])


@dataclass(frozen=True)
class Built:
    """Result of a build; of an image without a tag only the error and the files are known.

    :param error: the end of what buildah printed; empty if the build succeeded
    :param files: files in the image, relative → content, and links → target
    :param triggers: ONBUILD of the image
    """

    error: str
    files: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    triggers: tuple[str, ...] = ()


class PlainBuildah:
    """buildah with a separate store.

    :param directory: for stores, contexts and files of images
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._numbers = itertools.count()
        self._command = ["buildah", "--root", str(directory / "root"), "--runroot", str(directory / "run")]
        self._command += ["--storage-driver", "vfs"]

    def build(self, entries: Mapping[str, Entry]) -> Built:
        """Build a context, which contains its Dockerfile, without running anything from it."""
        context = self.directory / f"context-{next(self._numbers)}"
        context.mkdir()
        write_tree(context, entries)
        return self.build_in(context)

    def build_in(self, context: Path, options: Sequence[str] = ()) -> Built:
        """Build an existing context."""
        output = self.directory / f"output-{next(self._numbers)}"
        command = [*self._command, "build", "--quiet", "--isolation", "chroot", "--output", f"type=local,dest={output}"]
        done = run([*command, *options, str(context)], timeout=PATIENCE, check=False)
        if done.status:
            return Built(done.stderr.decode(errors="replace")[-2000:].strip() or "no output")
        return Built("", dict(_files(output)))

    def configuration(self, image: str) -> dict[str, Any]:
        """Return the configuration of an image in the store."""
        printed = run([*self._command, "inspect", "--type", "image", image], timeout=PATIENCE).text
        configuration: dict[str, Any] = json.loads(printed)["Docker"]
        return configuration


def _files(root: Path) -> list[tuple[str, str]]:
    found = []
    for directory, directories, names in os.walk(root):
        for path in (Path(directory, name) for name in (*names, *directories)):
            if path.is_symlink():
                found.append((str(path.relative_to(root)), os.readlink(path)))
            elif path.is_file():
                found.append((str(path.relative_to(root)), path.read_text()))
    return found


class DockerfileBuilds:
    """Builds of Dockerfiles with a common context, in a store that contains the parent images."""

    def __init__(self, directory: Path) -> None:
        self._buildah = PlainBuildah(directory)
        self._context = directory / "context"
        write_tree(self._context, CONTEXT)
        self._built: dict[tuple[str, tuple[tuple[str, str], ...]], Built] = {}
        self.version = versions.installed_number("buildah")
        for name, text in PARENTS.items():
            assert not self.build(text, tag=name).error
        self.parents = {name: ParentConfig.read(self._buildah.configuration(name)) for name in PARENTS}

    def facts(self, arguments: Mapping[str, str] | None = None) -> BuildFacts:
        """The known facts about the builds of ``build``."""
        platform = Platform("amd64")
        return BuildFacts(arguments or {}, platform, platform, self.parents, version=self.version)

    def build(self, text: str, arguments: Mapping[str, str] | None = None, tag: str = "localhost/built:1") -> Built:
        """Build a Dockerfile once; return the same result for the same text and arguments later."""
        key = text, tuple(sorted((arguments or {}).items()))
        if key not in self._built:
            self._built[key] = self._build(text, arguments or {}, tag)
        return self._built[key]

    def _build(self, text: str, arguments: Mapping[str, str], tag: str) -> Built:
        dockerfile = self._buildah.directory / "Dockerfile"
        dockerfile.write_text(text)
        options = [f"--build-arg={name}={value}" for name, value in arguments.items()]
        options += ["--pull-never", "--format", "docker", "--os", "linux", "--arch", "amd64", "--tag", tag]
        built = self._buildah.build_in(self._context, [*options, "--file", str(dockerfile)])
        if built.error:
            return built
        config = self._buildah.configuration(tag)["config"]
        environment = dict(item.partition("=")[::2] for item in config.get("Env") or [])
        labels = {name: value for name, value in (config.get("Labels") or {}).items() if name != _LABEL}
        return Built("", built.files, labels, environment, tuple(config.get("OnBuild") or []))
