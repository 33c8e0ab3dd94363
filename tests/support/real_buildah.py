# SPDX-License-Identifier: GPL-2.0-or-later
"""buildah without our engine, to compare its reading of Dockerfiles with ours: no RUN, in a separate store."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedpkg_container.distgit.dockerfile_facts import BuildFacts, ParentConfig
from fedpkg_container.engines import versions
from fedpkg_container.model.platforms import Platform
from fedpkg_container.process import run

#: Files of every context: name → content.
CONTEXT = {"a": "a", "b": "b", "1": "one", "x-1": "x", "bin-amd64": "binary", "a b": "space", "sub/c": "c"}
#: Parent images: name → Dockerfile.
PARENTS = {
    "localhost/plain:1": "FROM scratch\nENV FGC=f41 NAME=base DISTTAG=fc41\nLABEL which=plain\n",
    "localhost/trigger:1": (
        "FROM scratch\nENV FGC=f40 PATH=/bin EMPTY=\nLABEL which=trigger\n"
        'ONBUILD ARG T=7\nONBUILD ENV O="$FGC.$T"\nONBUILD LABEL o=$O p=$PATH\n'
    ),
}
_LABEL = "io.buildah.version"


@dataclass(frozen=True)
class Built:
    """The result of a build.

    :param error: its last lines; empty if it built an image
    :param triggers: ONBUILD of the image
    :param files: files of the image, relative → content
    """

    error: str
    labels: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    triggers: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)


class RealBuildah:
    """buildah with a store in a directory, which contains the parent images."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._context = directory / "context"
        for name, content in CONTEXT.items():
            path = self._context / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        self._store = ["--root", str(directory / "root"), "--runroot", str(directory / "run")]
        self._store += ["--storage-driver", "vfs"]
        self.version = versions.installed_number("buildah")
        for name, text in PARENTS.items():
            assert not self.build(text, tag=name).error
        self.parents = {name: ParentConfig.read(self._configuration(name)) for name in PARENTS}

    def facts(self, arguments: Mapping[str, str] | None = None) -> BuildFacts:
        """The known facts about the builds of ``build``."""
        platform = Platform("amd64")
        return BuildFacts(arguments or {}, platform, platform, self.parents, version=self.version)

    def build(self, text: str, arguments: Mapping[str, str] | None = None, tag: str = "") -> Built:
        """Build a Dockerfile."""
        dockerfile, output = self._directory / "Dockerfile", self._directory / "output"
        dockerfile.write_text(text)
        shutil.rmtree(output, ignore_errors=True)
        image = tag or "localhost/built:1"
        files = [] if tag else ["--output", f"type=local,dest={output}"]
        given = [f"--build-arg={name}={value}" for name, value in (arguments or {}).items()]
        command = ["buildah", *self._store, "build", "--quiet", "--isolation", "chroot", "--pull-never"]
        command += ["--format", "docker", "--os", "linux", "--arch", "amd64", "--tag", image, *files, *given]
        done = run([*command, "--file", str(dockerfile), str(self._context)], timeout=120, check=False)
        if done.status:
            return Built(done.stderr.decode(errors="replace")[-2000:] or "no output")
        config = self._configuration(image)["config"]
        environment = dict(item.partition("=")[::2] for item in config.get("Env") or [])
        labels = {name: value for name, value in (config.get("Labels") or {}).items() if name != _LABEL}
        found = [path for path in output.rglob("*") if path.is_file()] if output.exists() else []
        contents = {str(path.relative_to(output)): path.read_text() for path in found}
        return Built("", labels, environment, tuple(config.get("OnBuild") or []), contents)

    def _configuration(self, image: str) -> dict[str, Any]:
        printed = run(["buildah", *self._store, "inspect", "--type", "image", image], timeout=60).text
        configuration: dict[str, Any] = json.loads(printed)["Docker"]
        return configuration
