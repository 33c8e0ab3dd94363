# SPDX-License-Identifier: GPL-2.0-or-later
"""Building with buildah on this machine, each command in a worker."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fedpkg_container.engines import hook, storage, versions
from fedpkg_container.engines.base_image import BaseImage
from fedpkg_container.engines.bases import MAX_BYTES, BaseImages
from fedpkg_container.engines.buildah_probe import known_result
from fedpkg_container.engines.exported import Exported, Exporting
from fedpkg_container.engines.image_build import ImageBuild
from fedpkg_container.engines.isolation import Isolation
from fedpkg_container.engines.network import attached
from fedpkg_container.engines.opening import open_plain
from fedpkg_container.engines.sandbox import Sandbox, program
from fedpkg_container.engines.workspace import Workspace, Workspaces
from fedpkg_container.errors import (
    NoSuchImageError,
    ProgramError,
    ProgramTimeoutError,
    RegistryError,
)
from fedpkg_container.model.buildah import HERE_DOCUMENTS
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.process import run, run_in_background, stream
from fedpkg_container.process.gzip import gzip_command
from fedpkg_container.registry.copy import put_image
from fedpkg_container.registry.manifests import INDEX_TYPES, Descriptor, Manifest
from fedpkg_container.registry.skopeo import Access, Registry

#: Timeout of steps that run no code of the packager: pulling, pushing, mounting; seconds.
STEP_TIMEOUT = 1800.0
#: The variable with the timestamp for files that RUN writes (reproducible-builds.org/specs/source-date-epoch). It is
#: never a build argument: newer versions of buildah read that as --source-date-epoch, which excludes --timestamp.
EPOCH = "SOURCE_DATE_EPOCH"
#: Mount point of control groups in RUN.
_CGROUPS = "/sys/fs/cgroup"
#: Image formats for registries, and the format of archives.
_DOCKER = "v2s2"
#: Names of files and directories of a build.
_IMAGE_ID, _NO_CGROUPS = "image-id", "no-cgroups"
#: Printed by old versions for platform arguments that a Dockerfile does not declare, i.e. in nearly every build.
_PLATFORM_WARNING = re.compile(rb"\[Warning\] one or more build args were not consumed: \[(?:TARGET[A-Z]+ ?)+\]")
#: Size limit of files from an image, bytes.
MAX_FILES_BYTES = 10**9


class Buildah:
    """buildah with a separate store.

    :param workspace: of the build, from ``Workspaces``
    :param access: registry access of the task; workers have no credentials
    :param denied: networks blocked for isolated builds, besides those always blocked
    :param max_base_bytes: size limit of an unpacked base image, bytes
    """

    def __init__(
        self,
        workspaces: Workspaces,
        workspace: Workspace,
        *,
        isolation: Isolation,
        access: Access,
        denied: Sequence[str] = (),
        max_base_bytes: int = MAX_BYTES,
    ) -> None:
        self.workspaces = workspaces
        self.workspace = workspace
        self.directory = workspace.directory
        self.isolation = isolation
        self.access = access
        self.denied = denied
        self.bases = BaseImages(workspaces, workspace, access=access, max_bytes=max_base_bytes)
        #: Called every second while a worker runs, except in ``build``; exceptions end the worker.
        self.tick: Callable[[], None] = lambda: None
        self._exports: dict[str, Exporting] = {}

    def build(self, request: ImageBuild, *, line: Callable[[bytes], None], tick: Callable[[], None]) -> str:
        """Build an image; return its ID.

        :param line: called with each output line of buildah and RUN
        :param tick: called every second
        :raises ProgramError: if a step failed; carries the last lines
        :raises ProgramTimeoutError: if it timed out
        """
        arguments = self._arguments(request)
        readable = [
            request.context,
            request.dockerfile,
            *request.contexts.values(),
            *(mount.source for mount in request.mounts),
            *(self.directory / name for name in (hook.HOOKS, _NO_CGROUPS)),
        ]
        for path in (request.context, *request.contexts.values()):
            if self.directory in path.parents and os.lstat(path).st_uid != self.workspace.ids.first:
                self.workspace.give(path)
        with attached(request.network, self.directory, denied=self.denied, env=self._environment()) as network:
            command = [*network.enter, *self._sandbox(readable, resolver=network.resolver).command(arguments)]
            try:
                stream(
                    command,
                    line=_without_platform_warning(line),
                    tick=tick,
                    timeout=request.timeout,
                    env=self._environment(),
                )
            except ProgramTimeoutError as error:
                raise ProgramTimeoutError(error.reason.replace(str(command[0]), "buildah", 1)) from error
        return self._image_id()

    def _sandbox(self, readable: Iterable[Path] = (), *, resolver: str | None = "") -> Sandbox:
        environment = self._environment()
        mounted = [Path(environment[storage.VARIABLE]), *readable]
        own = [path for path in mounted if self.workspace.work not in path.parents]  # visible to the worker
        return Sandbox(self.workspace, own, environment, resolver, self.bases.stores)

    def _environment(self) -> dict[str, str]:
        """Write the configuration of the build's store; return the variables that select it."""
        return storage.configure(self.workspace, [store.path for store in self.bases.stores])

    def _worker(self, arguments: Iterable[str | Path], *, readable: Iterable[Path] = ()) -> list[str | Path]:
        """Return a command that runs another one in a worker without network."""
        return ["unshare", "--net", "--", *self._sandbox(readable).command(arguments)]

    def _image_id(self) -> str:
        """Read the image ID from a file of buildah, which a Dockerfile may have changed.

        :raises ProgramError: if it is not an image ID
        """
        work = self.workspace.work
        with contextlib.suppress(OSError, ValueError), open_plain(work / _IMAGE_ID, work) as file:
            text = file.read(100).decode().strip()
            if re.fullmatch("(sha256:)?[0-9a-f]{64}", text):
                return text
        raise ProgramError("buildah", 0, "it wrote no image ID")

    def _arguments(self, request: ImageBuild) -> list[str | Path]:
        """Return buildah's arguments. Its network, ``host``, is that of its caller."""
        no_cgroups = self.directory / _NO_CGROUPS  # over RUN's control groups
        no_cgroups.mkdir(exist_ok=True)
        return [
            *("buildah", "--default-mounts-file", "/etc/containers/mounts.conf"),
            *("build", "--format", "docker", "--pull-never", "--identity-label=false"),
            *("--timestamp", str(request.timestamp), "--iidfile", self.workspace.work / _IMAGE_ID),
            *("--os", "linux", *request.platform.options()),  # without the first, TARGETARCH would be that of the host
            *(*self.isolation.options(), "--network", "host", "--http-proxy=false", "--cap-drop", "NET_RAW"),
            f"--volume={no_cgroups}:{_CGROUPS}:ro,nosuid,nodev",
            *hook.options(self.workspace, request.timestamp),
            *(f"--label={name}={value}" for name, value in request.labels.items()),
            *(f"--build-arg={name}={value}" for name, value in request.arguments.items() if name != EPOCH),
            *(f"--build-context={name}={directory}" for name, directory in request.contexts.items()),
            *(f"--volume={mount}" for mount in request.mounts),
            # The Dockerfile is not in the context: buildah would not find its ignore file.
            *([f"--ignorefile={request.context / request.ignore_file}"] if request.ignore_file else []),
            *("--file", request.dockerfile, "--", request.context),
        ]

    def complaints(self) -> list[str]:
        """Return the reasons why a rebuild may produce different layers, as lines."""
        return hook.complaints(self.workspace)

    def files(
        self,
        image: str,
        *,
        directories: Sequence[str] = (),
        files: Sequence[str] = (),
        present: Sequence[str] = (),
        base: BaseImage | None = None,
    ) -> Path:
        """Copy files out of an image without executing its contents; return their root directory.

        :param image: image ID
        :param directories: directories whose regular files are copied
        :param files: files to copy, following links within the image
        :param present: paths to create as empty files or directories if they exist in the image
        :param base: the base image that it is: only its store is read, which no build worker can write
        :raises ProgramError: if the image cannot be read
        """
        target = self._new("files")
        stores = self._stores() if base is None else [base.graph]
        request = {
            "image": image.removeprefix("sha256:"),
            "stores": [str(each) for each in stores],
            "target": str(target),
            "directories": [*directories],
            "files": [*files],
            "present": [*present],
            "max_bytes": MAX_FILES_BYTES,
        }
        run(self._program("read_image", request), timeout=STEP_TIMEOUT, tick=self.tick)
        return target

    def _stores(self) -> list[Path]:
        """Return the build's store, and those of its base images."""
        return [self.workspace.work / "graph", *(store.path for store in self.bases.stores)]

    def _new(self, name: str) -> Path:
        """Make a uniquely named directory owned by the worker."""
        number = sum(1 for each in os.listdir(self.workspace.work) if each.startswith(f"{name}-"))
        return self.workspace.new(f"{name}-{number}")

    def _program(self, name: str, request: Mapping[str, object], *, readable: Sequence[Path] = ()) -> list[str | Path]:
        """Return a command that runs a program of ``inside`` in a worker, with a request file."""
        described = self.directory / f"{name}-{len(list(self.directory.glob(f'{name}-*')))}.json"
        described.write_text(json.dumps(request))
        described.chmod(0o644)
        return self._worker([*program(name), described], readable=[described, *readable])

    def configuration(self, image: str) -> dict[str, Any]:
        """Configuration of an image, with all fields of the docker format."""
        if exporting := self._exports.get(image):
            return exporting.wait().configuration(_DOCKER)
        described: dict[str, Any] = json.loads(self._run("inspect", "--type", "image", image))["Docker"]
        return described

    def export(self, image: str, kinds: Sequence[str]) -> Exported:
        """Export an image for a registry, unless an export exists or is running.

        :param kinds: formats, some of ``v2s2`` and ``oci``
        :raises ProgramError: if it cannot be exported
        :raises RegistryError: if the result is not an image
        """
        known = self._exports.get(image)
        if known and not set(kinds) - set(known.kinds):
            return known.wait()
        with self.exporting(image, kinds) as exported:
            return exported.wait()

    @contextlib.contextmanager
    def exporting(
        self, image: str, kinds: Sequence[str], *, archive: ImageReference | None = None, compressed: bool = True
    ) -> Iterator[Exporting]:
        """Start exporting an image for a registry, and as an archive, in a worker in the background.

        :param kinds: formats, some of ``v2s2`` and ``oci``
        :param archive: image name in a docker-archive; None for no archive
        :param compressed: whether to gzip the archive; old versions of buildah and skopeo read only uncompressed ones
        """
        # Archives use docker's format, for any registry format.
        wanted = tuple(dict.fromkeys([_DOCKER, *kinds]))
        others = {kind: self._new("export") for kind in wanted[1:]}
        target = self._new("exported")
        known: dict[str, dict[str, Any]] = {}
        for base in self.bases.used.values():
            for diff_id, blob in base.layers.items():
                known[diff_id] = {**blob, "file": str(base.blob(blob["digest"]))}
        push = ["buildah", "push", "--quiet", "-D", "--format"]
        request = {
            "image": image.removeprefix("sha256:"),
            "stores": [str(each) for each in self._stores()],
            "push": [*push, _DOCKER, image, "docker-archive:/dev/stdout"],
            "others": {kind: ([*push, kind, image, f"dir:{path}"], str(path)) for kind, path in others.items()},
            "target": str(target),
            "known": known,
            "gzip": gzip_command(igzip_level=3, gzip_level=6),
            "archive": str(archive) if archive else "",
            "compressed": compressed,
        }
        contents = [base.content for base in self.bases.used.values()]
        command = self._program("export", request, readable=contents)
        log = self.directory / f"{target.name}.log"
        with run_in_background(command, log=log, env=self._environment(), writes_files=True) as worker:
            self._exports[image] = Exporting(
                worker, log, target, work=self.workspace.work, kinds=wanted, tick=lambda: self.tick()
            )
            yield self._exports[image]

    def push(self, image: str, target: ImageReference, kind: str) -> str:
        """Push an image; return its digest.

        :param kind: its format, ``v2s2`` or ``oci``
        :raises RegistryError: if it could not be pushed
        """
        exported = self.export(image, [kind])
        manifest = exported.manifests[kind]
        bases = {blob["digest"]: base for base in self.bases.used.values() for blob in base.layers.values()}

        def chunks(blob: Descriptor) -> Iterator[bytes]:
            base = bases.get(blob.digest)
            if base is None:
                yield from exported.chunks(blob)
                return
            with base.blob(blob.digest).open("rb") as file:
                while chunk := file.read(1 << 20):
                    yield chunk

        named = (ImageReference.parse(base.name) for base in self.bases.used.values())
        others = [each.repository for each in named if each.registry == target.registry]
        with Registry(self.access).repository(target) as repository:
            put_image(target.tag or manifest.digest, manifest, repository, chunks, mounted_from=others)
        return manifest.digest

    def push_list(self, target: ImageReference, members: Sequence[ImageReference], kind: str) -> str:
        """Push an image index of images in a repository; return its digest.

        :param kind: its format, ``v2s2`` or ``oci``
        :raises RegistryError: if it could not be pushed
        """
        descriptors = []
        with Registry(self.access).repository(target) as repository:
            for member in members:
                manifest = repository.manifest(member.digest)
                config = json.loads(repository.blob(manifest.blobs[0]))
                platform = {key: str(config[key]) for key in ("architecture", "os", "variant") if config.get(key)}
                descriptors.append({**manifest.descriptor, "platform": platform})
            index = Manifest.of({"schemaVersion": 2, "mediaType": INDEX_TYPES[kind], "manifests": descriptors})
            repository.put_manifest(target.tag, index)
        return index.digest

    def to_local_storage(self, image: str, name: ImageReference) -> str:
        """Copy an image to the current user's local storage, under a name; return its image ID there."""
        archive = self.directory / "image.tar"
        with self.exporting(image, [], archive=name, compressed=False) as exporting:
            exporting.save(archive)
        pulled = run(["buildah", "pull", "--quiet", f"docker-archive:{archive}"], timeout=STEP_TIMEOUT)
        archive.unlink()
        return pulled.text.split()[-1]

    def import_local(self, image: ImageReference, *, instead_of: RegistryError | None = None) -> BaseImage:
        """Import an image from the current user's local storage.

        :param instead_of: the error to raise if it does not exist
        :raises NoSuchImageError: if it does not exist
        """
        content = self.directory / "parent"
        try:
            run(["buildah", "push", "--quiet", str(image), f"dir:{content}"], timeout=STEP_TIMEOUT)
        except ProgramError as error:
            missing = NoSuchImageError(
                f"{image} is not in local storage", solution=f"bring it there: podman pull {image}"
            )
            raise instead_of or missing from error
        return self.bases.load(image, content)

    @staticmethod
    def version() -> str:
        """Return buildah's version."""
        return versions.installed("buildah")

    def knows_here_documents(self) -> bool:
        """Return whether buildah supports here-documents, which its version does not show (buildah issue 5474)."""
        return known_result(self.workspaces.directory, HERE_DOCUMENTS.name, self._builds_here_document)

    def _builds_here_document(self) -> bool:
        context = self._new("here-document")
        (context / "Dockerfile").write_text("FROM scratch\nCOPY <<END /file\nfile\nEND\n")
        options = ["--network", "host", "--quiet", *self.isolation.options()]
        command = self._worker(["buildah", "build", *options, context])
        return run(command, timeout=STEP_TIMEOUT, check=False, tick=self.tick).status == 0

    def _run(self, *arguments: str, timeout: float = STEP_TIMEOUT) -> str:
        return run(self._worker(["buildah", *arguments]), timeout=timeout, tick=self.tick).text


def _without_platform_warning(line: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """Return a function that passes lines on, without buildah's warning about platform arguments."""

    def pass_on(text: bytes) -> None:
        if not _PLATFORM_WARNING.fullmatch(text.strip()):
            line(text)

    return pass_on
