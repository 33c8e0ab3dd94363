"""Building with buildah on this machine."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedpkg_container.engines import after_run, cgroups
from fedpkg_container.engines.bases import BaseImages
from fedpkg_container.engines.isolation import Isolation
from fedpkg_container.engines.network import NONE, attached
from fedpkg_container.engines.sandbox import ETC, VARIABLES, Sandbox
from fedpkg_container.engines.workspace import Workspaces
from fedpkg_container.errors import (
    NoSuchImageError,
    ProgramError,
    ProgramTimeoutError,
    RegistryError,
    RegistryUnavailableError,
)
from fedpkg_container.model.arches import Platform
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.process import piped, run, stream
from fedpkg_container.registry.patience import patiently
from fedpkg_container.registry.registry import Access, registry_errors

#: Seconds for a step that does not run anything of the packager's: pulling, pushing, mounting.
STEP_TIMEOUT = 1800.0
#: The variable that tells RUN the time to write into files (reproducible-builds.org/specs/source-date-epoch). It is
#: never given as a build argument: buildah 1.41 and newer read that as --source-date-epoch, which excludes --timestamp.
EPOCH = "SOURCE_DATE_EPOCH"
#: Files that say where images are: of the build's own store, and of the one that builds share.
_OWN_STORE, _SHARED_STORE = "storage.conf", "shared.conf"


@dataclass(frozen=True)
class Mount:
    """A folder of this machine that RUN sees; it leaves nothing in a layer where ``target`` exists.

    :param writable: what RUN writes there ends with the build
    """

    source: Path
    target: str
    writable: bool = False

    def __str__(self) -> str:
        return f"{self.source}:{self.target}:{'rw' if self.writable else 'ro'}"


@dataclass(frozen=True)
class ImageBuild:
    """What one build is made of.

    :param context: the folder that COPY reads
    :param timestamp: seconds since the epoch that every new file gets, so that layers can be made again
    :param timeout: seconds
    :param network: what RUN and ADD reach, one of ``network.NETWORKS``
    :param arguments: values of ARG
    :param contexts: further folders that COPY --from can name
    :param memory: bytes that RUN may use; 0 for no limit
    """

    context: Path
    dockerfile: Path
    labels: Mapping[str, str]
    mounts: Sequence[Mount]
    timestamp: int
    platform: Platform
    timeout: float
    network: str = NONE
    arguments: Mapping[str, str] = field(default_factory=dict)
    contexts: Mapping[str, Path] = field(default_factory=dict)
    memory: int = 0


class Buildah:
    """buildah with a store of its own.

    :param folder: the build's folder, from ``Workspaces``
    :param access: for pulling and pushing; a Dockerfile's own steps have no credentials
    :param denied: networks that isolated builds do not reach, besides those that none reaches
    """

    def __init__(
        self,
        workspaces: Workspaces,
        folder: Path,
        *,
        isolation: Isolation,
        access: Access,
        denied: Sequence[str] = (),
    ) -> None:
        self.workspaces = workspaces
        self.folder = folder
        self.isolation = isolation
        self.access = access
        self.denied = denied
        self._own = self._storage(folder, folder / _OWN_STORE, [workspaces.shared / "graph"])
        self.bases = BaseImages(
            workspaces, folder, self._storage(workspaces.shared, folder / _SHARED_STORE, []), access=access
        )

    @staticmethod
    def _storage(folder: Path, configuration: Path, additional: Sequence[Path]) -> dict[str, str]:
        """Write a storage configuration; the environment that makes buildah use it."""
        lines = ["[storage]", 'driver = "overlay"', f'graphroot = "{folder}/graph"', f'runroot = "{folder}/run"']
        for store in additional:
            lines += ["[storage.options]", f'additionalimagestores = ["{store}"]']
        configuration.write_text("\n".join(lines) + "\n")
        return {"CONTAINERS_STORAGE_CONF": str(configuration), "TMPDIR": str(configuration.parent)}

    def build(self, request: ImageBuild, *, line: Callable[[bytes], None], tick: Callable[[], None]) -> str:
        """Build; the image ID of the result.

        :param line: gets each line that buildah and RUN print
        :param tick: called every second
        :raises ProgramError: a step failed; carries the last lines
        :raises ProgramTimeoutError: it took longer than it may
        """
        with attached(request.network, self.folder, denied=self.denied, env=self._own) as network:
            sandbox = Sandbox(
                folder=self.folder,
                readable=[
                    self.workspaces.shared / "graph",
                    request.context,
                    *request.contexts.values(),
                    *(mount.source for mount in request.mounts),
                ],
                fixed=[self.folder / name for name in (_OWN_STORE, _SHARED_STORE, request.dockerfile.name)],
                environment={**VARIABLES, **self._own},
                resolver=network.resolver,
                cgroups=self.isolation.kind == "oci",
            )
            command = [*network.enter, *sandbox.command(self._command(request))]
            try:
                stream(command, line=line, tick=tick, timeout=request.timeout, env=self._own)
            except ProgramTimeoutError as error:
                raise ProgramTimeoutError(error.reason.replace(str(command[0]), "buildah", 1)) from error
        return self._image_id()

    def _image_id(self) -> str:
        """What buildah wrote, from a place to which a Dockerfile might have found its way.

        :raises ProgramError: it is no image ID
        """
        with contextlib.suppress(OSError, ValueError):
            with open(os.open(self.folder / "image-id", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)) as file:
                text = file.read(100).strip()
            if re.fullmatch("(sha256:)?[0-9a-f]{64}", text):
                return text
        raise ProgramError("buildah", 0, "it wrote no image ID")

    def _command(self, request: ImageBuild) -> list[str | Path]:
        """buildah's arguments. Its network, ``host``, is the one in which it is started."""
        return [
            *("buildah", "--default-mounts-file", self.folder / ETC / "containers/mounts.conf"),
            *("build", "--format", "docker", "--pull-never", "--identity-label=false"),
            *("--timestamp", str(request.timestamp), "--iidfile", self.folder / "image-id"),
            *request.platform.options(),
            *(*self.isolation.options(), "--network", "host", "--http-proxy=false", "--cap-drop", "NET_RAW"),
            *("--cgroup-parent", f"/{cgroups.name(self.folder)}", f"--volume={self._no_cgroups()}:{cgroups.ROOT}:ro"),
            *(after_run.options(self.folder, request.timestamp) if self.isolation.kind == "oci" else []),
            *(f"--label={name}={value}" for name, value in request.labels.items()),
            *(f"--build-arg={name}={value}" for name, value in request.arguments.items() if name != EPOCH),
            *(f"--build-context={name}={folder}" for name, folder in request.contexts.items()),
            *([f"--memory={request.memory}"] if request.memory else []),
            *(f"--volume={mount}" for mount in request.mounts),
            *("--file", request.dockerfile, "--", request.context),
        ]

    def _no_cgroups(self) -> Path:
        """An empty folder in place of RUN's control groups, which it could write to: they carry its limits."""
        path = self.folder / "no-cgroups"
        path.mkdir(exist_ok=True)
        return path

    def complaints(self) -> list[str]:
        """Why the layers that were built may differ when they are built again, in lines."""
        return after_run.complaints(self.folder)

    @contextlib.contextmanager
    def mounted(self, image: str) -> Iterator[Path]:
        """The files of an image, as a folder that must not be changed."""
        container = self._run("from", "--pull-never", image).split()[-1]
        try:
            yield Path(self._run("mount", container).strip())
        finally:
            self._run("rm", container)

    def configuration(self, image: str) -> dict[str, Any]:
        """The configuration of an image, with all that the docker format has."""
        described: dict[str, Any] = json.loads(self._run("inspect", "--type", "image", image))["Docker"]
        return described

    @contextlib.contextmanager
    def saved(self, image: str, name: ImageReference, target: Path) -> Iterator[Callable[[], None]]:
        """Save an image as a docker-archive, packed with gzip, beside whatever else is done.

        :param name: how the archive calls it
        :returns: a function that waits until it is saved
        """
        command = ["buildah", "push", "--quiet", image, f"docker-archive:/dev/stdout:{name}"]
        # Everybody who waits for the build waits for this: igzip (isa-l) is six times as fast, and packs as well.
        packer = "igzip" if shutil.which("igzip") else "gzip"
        with piped(command, [packer, "-n", "-1"], output=target, env=self._own) as wait:
            yield lambda: wait(STEP_TIMEOUT)

    def push(self, image: str, target: ImageReference, kind: str) -> str:
        """Push an image; the digest of its manifest, as the registry has it.

        :param kind: its format, ``v2s2`` or ``oci``
        :raises RegistryError: it could not be pushed
        """
        result = self.folder / "digest"
        result.unlink(missing_ok=True)
        options = ["--quiet", "--format", kind, "--digestfile", str(result), *self.access.options()]
        self._to_registry(target, "push", *options, image, f"docker://{target}")
        return result.read_text().strip()

    def push_list(self, target: ImageReference, members: Sequence[ImageReference], kind: str) -> str:
        """Make a list of images that are in a registry, and push it with them; the list's digest.

        Within one registry their layers are mounted, not sent. Images of another format are converted.

        :param kind: its format, ``v2s2`` or ``oci``
        :raises RegistryError: it could not be pushed
        """
        name, result = f"localhost/list:{target.tag}", self.folder / "list-digest"
        self._run("manifest", "create", name)
        for member in members:
            self._to_registry(target, "manifest", "add", *self.access.options(), name, f"docker://{member}")
        options = ["--quiet", "--all", "--format", kind, "--digestfile", str(result), *self.access.options()]

        def push() -> str:
            result.unlink(missing_ok=True)
            with registry_errors(target):
                self._run("manifest", "push", *options, name, f"docker://{target}", timeout=self.access.timeout)
            digest = result.read_text().strip() if result.exists() else ""
            if not digest:  # buildah 1.28 ends with status 0 when the registry answers 500
                raise RegistryUnavailableError(
                    f"{target.registry} fails, needed for {target}: it did not take the list of arches",
                    solution="try again later; tell the site's administrators when it stays so",
                )
            return digest

        return patiently(push, self.access.patience)

    def export(self, image: str, name: ImageReference) -> str:
        """Bring an image under a name into the local storage of whoever runs this; its image ID there."""
        archive = self.folder / "image.tar"
        self._run("push", "--quiet", image, f"docker-archive:{archive}:{name}")
        pulled = run(["buildah", "pull", "--quiet", f"docker-archive:{archive}"], timeout=STEP_TIMEOUT)
        archive.unlink()
        return pulled.text.split()[-1]

    def import_local(self, image: ImageReference, *, instead_of: RegistryError | None = None) -> str:
        """Bring an image out of the local storage of whoever runs this into the shared store; its image ID.

        :param instead_of: what to raise when it is not there
        :raises NoSuchImageError: it is not there
        """
        archive = self.folder / "parent.tar"
        try:
            run(["buildah", "push", "--quiet", str(image), f"docker-archive:{archive}:{image}"], timeout=STEP_TIMEOUT)
        except ProgramError as error:
            missing = NoSuchImageError(
                f"{image} is not in local storage", solution=f"bring it there: podman pull {image}"
            )
            raise instead_of or missing from error
        image_id = self.bases.load(archive)
        archive.unlink()
        return image_id

    @staticmethod
    def version() -> str:
        """buildah's version."""
        return run(["buildah", "--version"], timeout=60).text.split()[2]

    def knows_here_documents(self) -> bool:
        """Whether this buildah knows here-documents: tried, since its version does not tell (buildah issue 5474)."""
        folder = self.folder / "here-document"
        folder.mkdir(exist_ok=True)
        (folder / "Dockerfile").write_text("FROM scratch\nCOPY <<END /file\nfile\nEND\n")
        options = ["--network", "host", "--isolation", "chroot", "--quiet"]
        return run(["buildah", "build", *options, folder], env=self._own, timeout=STEP_TIMEOUT, check=False).status == 0

    def _run(self, *arguments: str, timeout: float = STEP_TIMEOUT) -> str:
        return run(["buildah", *arguments], env=self._own, timeout=timeout).text

    def _to_registry(self, image: ImageReference, *arguments: str) -> str:
        """Run a command that talks to a registry, again while that is not there."""

        def attempt() -> str:
            with registry_errors(image):
                return self._run(*arguments, timeout=self.access.timeout)

        return patiently(attempt, self.access.patience)
