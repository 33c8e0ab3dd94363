# SPDX-License-Identifier: GPL-2.0-or-later
"""A builder to attack: its files, its processes, and builds of unchecked Dockerfiles."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fedpkg_container.engines.buildah import Buildah
from fedpkg_container.engines.image_build import ImageBuild, Mount
from fedpkg_container.engines.isolation import Isolation
from fedpkg_container.engines.workspace import Workspaces
from fedpkg_container.errors import FedpkgContainerError
from fedpkg_container.model.platforms import platform_of
from fedpkg_container.registry.skopeo import Access
from tests.support.waiting import PATIENCE

#: The secret that no build may see.
SECRET = "the-builders-secret-7f3a"
#: An image with only busybox; its shell runs later lines.
SHELL = """\
FROM scratch
COPY bin /bin/
SHELL ["/bin/busybox", "sh", "-c"]
ENV PATH=/bin
"""


@dataclass(frozen=True)
class Outcome:
    """The outcome of a build.

    :param error: empty on success
    :param labels: of the image
    """

    log: str
    error: str
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def all(self) -> str:
        """Everything that a packager sees of it."""
        return self.log + self.error

    def values(self) -> dict[str, str]:
        """Return values printed as ``name: value``; those of one name are joined by newlines."""
        found: dict[str, str] = {}
        for line in self.log.splitlines():
            name, colon, value = line.partition(": ")
            if colon:
                found[name] = f"{found[name]}\n{value}" if name in found else value
        return found


@dataclass(frozen=True)
class Victim:
    """A builder; the file ``secret`` in its directory ``directory`` has the secret."""

    directory: Path
    isolation: Isolation

    @classmethod
    def make(cls, directory: Path, isolation: Isolation) -> Victim:
        """Make a builder with a secret file."""
        made = cls(directory, isolation)
        (directory / "secret").write_text(f"{SECRET}\n")
        (directory / "state").mkdir(exist_ok=True)
        return made

    @property
    def secret(self) -> Path:
        """A file that no build may read."""
        return self.directory / "secret"

    @property
    def workspaces(self) -> Workspaces:
        """The build directories."""
        return Workspaces(self.directory / "state")

    def context(self) -> Path:
        """A checkout that contains only busybox and links to it for its commands."""
        context = self.directory / "context"
        shutil.rmtree(context, ignore_errors=True)
        programs = context / "bin"
        programs.mkdir(parents=True)
        busybox = shutil.copy(shutil.which("busybox") or "/bin/busybox", programs)
        listed = subprocess.run(
            [busybox, "--list"], capture_output=True, text=True, check=True, timeout=PATIENCE
        ).stdout
        for name in set(listed.split()) - {"busybox"}:
            (programs / name).symlink_to("busybox")
        return context

    def build(
        self,
        dockerfile: str,
        *,
        context: Path | None = None,
        network: str = "none",
        denied: Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
        mounts: Sequence[Mount] = (),
    ) -> Outcome:
        """Pass an unmodified Dockerfile to the engine."""
        lines: list[bytes] = []
        with self.workspaces.open("attack") as workspace:
            engine = Buildah(self.workspaces, workspace, isolation=self.isolation, access=Access(), denied=denied)
            path = workspace.directory / "Dockerfile"
            path.write_text(dockerfile)
            request = ImageBuild(
                context=context or self.context(), dockerfile=path, labels=labels or {}, mounts=mounts,
                timestamp=0, platform=platform_of(os.uname().machine), timeout=PATIENCE, network=network,
            )  # fmt: skip
            try:
                image, error = engine.build(request, line=lines.append, tick=lambda: None), ""
            except FedpkgContainerError as failure:
                image, error = "", failure.reason
            found = _labels(engine, image) if image else {}
        return Outcome(b"\n".join(lines).decode(errors="replace"), error, found)


def _labels(engine: Buildah, image: str) -> dict[str, str]:
    return dict(engine.configuration(image)["config"]["Labels"] or {})
