"""Building with buildah on this machine: each of its commands runs in a worker."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from fedpkg_container.engines import hook, storage
from fedpkg_container.engines.bases import LONGEST, BaseImage, BaseImages
from fedpkg_container.engines.isolation import Isolation
from fedpkg_container.engines.network import NONE, attached
from fedpkg_container.engines.sandbox import INSIDE, Sandbox, interpreter
from fedpkg_container.engines.workspace import Workspace, Workspaces
from fedpkg_container.errors import (
    NoSuchImageError,
    ProgramError,
    ProgramTimeoutError,
    RegistryError,
)
from fedpkg_container.model.platforms import Platform
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.process import run, run_in_background, stream
from fedpkg_container.registry.copy import put_image
from fedpkg_container.registry.manifests import LIST_TYPES, LONGEST_MANIFEST, Descriptor, Manifest
from fedpkg_container.registry.skopeo import Access, Registry
from fedpkg_container.text import printable

#: Seconds for a step that does not run anything of the packager's: pulling, pushing, mounting.
STEP_TIMEOUT = 1800.0
#: The variable that tells RUN the time to write into files (reproducible-builds.org/specs/source-date-epoch). It is
#: never given as a build argument: buildah 1.41 and newer read that as --source-date-epoch, which excludes --timestamp.
EPOCH = "SOURCE_DATE_EPOCH"
#: Where RUN would see control groups.
_CGROUPS = "/sys/fs/cgroup"
#: The formats in which an image leaves a worker, and in which its archive is.
_DOCKER = "v2s2"
#: Names of files and directories of a build.
_IMAGE_ID, _NO_CGROUPS = "image-id", "no-cgroups"
#: Bytes of files that are read out of an image.
LONGEST_FILES = 10**9


@dataclass(frozen=True)
class Mount:
    """A folder of this machine that RUN sees; it leaves nothing in a layer where ``target`` exists.

    :param writable: what RUN writes there ends with the build
    """

    source: Path
    target: str
    writable: bool = False

    def __str__(self) -> str:
        return f"{self.source}:{self.target}:{'rw' if self.writable else 'ro'},nosuid,nodev"  # as the worker has it


@dataclass(frozen=True)
class ImageBuild:
    """What one build is made of.

    :param context: the folder that COPY reads
    :param timestamp: seconds since the epoch that every new file gets, so that layers can be made again
    :param timeout: seconds
    :param network: what RUN and ADD reach, one of ``network.NETWORKS``
    :param arguments: values of ARG
    :param contexts: further folders that COPY --from can name
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


@dataclass(frozen=True)
class Exported:
    """An image as a worker prepared it for a registry.

    :param manifests: format → manifest
    :param directory: of its blobs, which the worker owns
    """

    manifests: Mapping[str, Manifest]
    directory: Path

    def chunks(self, blob: Descriptor) -> Iterator[bytes]:
        """Yield the content of a blob.

        :raises OSError: there is no such file
        """
        with open_plain(self.directory / blob.digest.partition(":")[2]) as file:
            while chunk := file.read(1 << 20):
                yield chunk


def open_plain(path: Path) -> IO[bytes]:
    """Open a file that a worker wrote, for reading.

    :raises OSError: it is not a plain file
    """
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(0, f"not a plain file: {path}")
    return file


class Buildah:
    """buildah with a store of its own.

    :param workspace: of the build, from ``Workspaces``
    :param access: for fetching and pushing, which the task does; workers have no credentials
    :param denied: networks that isolated builds do not reach, besides those that none reaches
    :param longest_base: bytes that a base image may take unpacked
    """

    def __init__(
        self,
        workspaces: Workspaces,
        workspace: Workspace,
        *,
        isolation: Isolation,
        access: Access,
        denied: Sequence[str] = (),
        longest_base: int = LONGEST,
    ) -> None:
        self.workspaces = workspaces
        self.workspace = workspace
        self.folder = workspace.folder
        self.isolation = isolation
        self.access = access
        self.denied = denied
        self.bases = BaseImages(workspaces, workspace, access=access, longest=longest_base)
        self._exports: dict[str, Exported] = {}

    def build(self, request: ImageBuild, *, line: Callable[[bytes], None], tick: Callable[[], None]) -> str:
        """Build; the image ID of the result.

        :param line: gets each line that buildah and RUN print
        :param tick: called every second
        :raises ProgramError: a step failed; carries the last lines
        :raises ProgramTimeoutError: it took longer than it may
        """
        arguments = self._arguments(request)
        readable = [
            request.context,
            request.dockerfile,
            *request.contexts.values(),
            *(mount.source for mount in request.mounts),
            *(self.folder / name for name in (hook.HOOKS, _NO_CGROUPS)),
        ]
        for path in (request.context, *request.contexts.values()):
            if self.folder in path.parents and os.lstat(path).st_uid != self.workspace.ids.first:
                self.workspace.give(path)
        with attached(request.network, self.folder, denied=self.denied, env=self._environment()) as network:
            command = [*network.enter, *self._sandbox(readable, resolver=network.resolver).command(arguments)]
            try:
                stream(command, line=line, tick=tick, timeout=request.timeout, env=self._environment())
            except ProgramTimeoutError as error:
                raise ProgramTimeoutError(error.reason.replace(str(command[0]), "buildah", 1)) from error
        return self._image_id()

    def _sandbox(self, readable: Iterable[Path] = (), *, resolver: str | None = "") -> Sandbox:
        environment = self._environment()
        mounted = [Path(environment[storage.VARIABLE]), *readable]
        own = [path for path in mounted if self.workspace.work not in path.parents]  # it sees those anyway
        return Sandbox(self.workspace, own, environment, resolver, self.bases.stores)

    def _environment(self) -> dict[str, str]:
        """Write the configuration of the build's store; variables that make buildah use it."""
        return storage.configure(self.workspace, [store.path for store in self.bases.stores])

    def _worker(self, arguments: Iterable[str | Path], *, readable: Iterable[Path] = ()) -> list[str | Path]:
        """Return a command that runs another one in a worker without a network."""
        return ["unshare", "--net", "--", *self._sandbox(readable).command(arguments)]

    def _image_id(self) -> str:
        """Read what buildah wrote, in a place to which a Dockerfile might have found its way.

        :raises ProgramError: it is not an image ID
        """
        with contextlib.suppress(OSError, ValueError), open_plain(self.workspace.work / _IMAGE_ID) as file:
            text = file.read(100).decode().strip()
            if re.fullmatch("(sha256:)?[0-9a-f]{64}", text):
                return text
        raise ProgramError("buildah", 0, "it wrote no image ID")

    def _arguments(self, request: ImageBuild) -> list[str | Path]:
        """Return buildah's arguments. Its network, ``host``, is the one in which it is started."""
        no_cgroups = self.folder / _NO_CGROUPS  # over RUN's control groups
        no_cgroups.mkdir(exist_ok=True)
        return [
            *("buildah", "--default-mounts-file", "/etc/containers/mounts.conf"),
            *("build", "--format", "docker", "--pull-never", "--identity-label=false"),
            *("--timestamp", str(request.timestamp), "--iidfile", self.workspace.work / _IMAGE_ID),
            *request.platform.options(),
            *(*self.isolation.options(), "--network", "host", "--http-proxy=false", "--cap-drop", "NET_RAW"),
            f"--volume={no_cgroups}:{_CGROUPS}:ro,nosuid,nodev",
            *hook.options(self.workspace, request.timestamp),
            *(f"--label={name}={value}" for name, value in request.labels.items()),
            *(f"--build-arg={name}={value}" for name, value in request.arguments.items() if name != EPOCH),
            *(f"--build-context={name}={folder}" for name, folder in request.contexts.items()),
            *(f"--volume={mount}" for mount in request.mounts),
            *("--file", request.dockerfile, "--", request.context),
        ]

    def complaints(self) -> list[str]:
        """Return why the layers that were built may differ when they are built again, in lines."""
        return hook.complaints(self.workspace)

    def files(
        self, image: str, *, directories: Sequence[str] = (), files: Sequence[str] = (), present: Sequence[str] = ()
    ) -> Path:
        """Copy files out of an image, without executing anything of it; a directory with them at their places.

        :param image: image ID
        :param directories: directories whose plain files are copied
        :param files: files that are copied, following links within the image
        :param present: what becomes an empty file or directory, where the image has one
        :raises ProgramError: the image cannot be read
        """
        target = self._new("files")
        stores = [self.workspace.work / "graph", *(store.path for store in self.bases.stores)]
        request = {
            "image": image.removeprefix("sha256:"),
            "stores": [str(each) for each in stores],
            "target": str(target),
            "directories": [*directories],
            "files": [*files],
            "present": [*present],
            "longest": LONGEST_FILES,
        }
        run(self._program("read_image.py", request), timeout=STEP_TIMEOUT)
        return target

    def _new(self, name: str) -> Path:
        """Make a directory of the worker's that has a new name."""
        number = sum(1 for each in os.listdir(self.workspace.work) if each.startswith(f"{name}-"))
        return self.workspace.new(f"{name}-{number}")

    def _program(self, name: str, request: Mapping[str, Any], *, readable: Sequence[Path] = ()) -> list[str | Path]:
        """Return a command that runs one of our programs in a worker, with a request that it reads."""
        described = self.folder / f"{name}-{len(list(self.folder.glob(f'{name}-*')))}.json"
        described.write_text(json.dumps(request))
        described.chmod(0o644)
        command: list[str | Path] = [interpreter(), "-I", "-S", INSIDE / name, described]
        return self._worker(command, readable=[described, *readable])

    def configuration(self, image: str) -> dict[str, Any]:
        """The configuration of an image, with all that the docker format has."""
        described: dict[str, Any] = json.loads(self._run("inspect", "--type", "image", image))["Docker"]
        return described

    def export(self, image: str, kinds: Sequence[str]) -> Exported:
        """Prepare an image for a registry.

        :param kinds: formats, some of ``v2s2`` and ``oci``
        :raises ProgramError: it cannot be exported
        :raises RegistryError: what was exported is not an image
        """
        known = self._exports.get(image)
        if known and not set(kinds) - set(known.manifests):
            return known
        # Archives are in docker's format, whatever a registry gets.
        wanted = dict.fromkeys([_DOCKER, *kinds])
        sources = {}
        for kind in wanted:
            source = self._new("export")
            self._run("push", "--quiet", "-D", "--format", kind, image, f"dir:{source}")
            sources[kind] = str(source)
        target = self._new("exported")
        layers = {diff_id: blob for base in self.bases.used.values() for diff_id, blob in base.layers.items()}
        request = {"sources": sources, "target": str(target), "known": layers, "gzip": _gzip(3)}
        run(self._program("export.py", request), timeout=STEP_TIMEOUT)
        manifests = {}
        for kind in wanted:
            with open_plain(target / f"{kind}.json") as file:
                manifests[kind] = Manifest.read(file.read(LONGEST_MANIFEST + 1), where=kind)
        self._exports[image] = Exported(manifests, target)
        return self._exports[image]

    @contextlib.contextmanager
    def saved(
        self, image: str, name: ImageReference, target: Path, *, compressed: bool = True
    ) -> Iterator[Callable[[], None]]:
        """Save an image as a docker-archive while other things are done.

        :param name: what the archive calls it
        :param target: the file
        :param compressed: with gzip; buildah 1.28 and skopeo 1.9 read only archives that are not
        :returns: a function that waits until it is saved
        """
        exported = self.export(image, [_DOCKER])
        request = {
            "target": str(exported.directory),
            "gzip": _gzip(1) if compressed else ["cat"],
            "archive": "archive",
            "name": str(name),
        }
        log = self.folder / "archive.log"
        # Everything that waits for the build waits for this.
        command, environment = self._program("export.py", request), self._environment()
        with run_in_background(command, log=log, env=environment, writes_files=True) as program:

            def wait() -> None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    program.wait(timeout=STEP_TIMEOUT)
                if program.returncode:
                    printed = printable(log.read_text(errors="replace")[-4000:])
                    raise ProgramError("export", program.returncode or 0, printed)
                with open_plain(exported.directory / "archive") as source, target.open("wb") as file:
                    shutil.copyfileobj(source, file, 1 << 20)

            yield wait

    def push(self, image: str, target: ImageReference, kind: str) -> str:
        """Push an image; the digest of its manifest.

        :param kind: its format, ``v2s2`` or ``oci``
        :raises RegistryError: it could not be pushed
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
        """Push a list of images that are in a repository; the list's digest.

        :param kind: its format, ``v2s2`` or ``oci``
        :raises RegistryError: it could not be pushed
        """
        listed = []
        with Registry(self.access).repository(target) as repository:
            for member in members:
                manifest = repository.manifest(member.digest)
                config = json.loads(repository.blob(manifest.blobs[0]))
                platform = {key: str(config[key]) for key in ("architecture", "os", "variant") if config.get(key)}
                listed.append({**manifest.descriptor, "platform": platform})
            made = Manifest.of({"schemaVersion": 2, "mediaType": LIST_TYPES[kind], "manifests": listed})
            repository.put_manifest(target.tag, made)
        return made.digest

    def to_local_storage(self, image: str, name: ImageReference) -> str:
        """Bring an image into the local storage of the user that runs this, under a name; its image ID there."""
        archive = self.folder / "image.tar"
        with self.saved(image, name, archive, compressed=False) as wait:
            wait()
        pulled = run(["buildah", "pull", "--quiet", f"docker-archive:{archive}"], timeout=STEP_TIMEOUT)
        archive.unlink()
        return pulled.text.split()[-1]

    def import_local(self, image: ImageReference, *, instead_of: RegistryError | None = None) -> BaseImage:
        """Take an image out of the local storage of the user that runs this.

        :param instead_of: what to raise when it is not there
        :raises NoSuchImageError: it is not there
        """
        content = self.folder / "parent"
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
        return run(["buildah", "--version"], timeout=60).text.split()[2]

    def knows_here_documents(self) -> bool:
        """Whether this buildah knows here-documents: tried, since its version does not tell (buildah issue 5474)."""
        context = self._new("here-document")
        (context / "Dockerfile").write_text("FROM scratch\nCOPY <<END /file\nfile\nEND\n")
        options = ["--network", "host", "--quiet", *self.isolation.options()]
        command = self._worker(["buildah", "build", *options, context])
        return run(command, timeout=STEP_TIMEOUT, check=False).status == 0

    def _run(self, *arguments: str, timeout: float = STEP_TIMEOUT) -> str:
        return run(self._worker(["buildah", *arguments]), timeout=timeout).text


def _gzip(level: int) -> list[str]:
    """Return the command that compresses: igzip (isa-l), which is many times as fast as gzip, where it is installed.

    :param level: 1 to 3
    """
    program, option = ("igzip", f"-{level}") if shutil.which("igzip") else ("gzip", f"-{2 * level}")
    return [program, "-n", option, "-c"]
