"""Building with buildah on this machine: each of its commands runs in a worker."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedpkg_container.engines import hook, storage
from fedpkg_container.engines.bases import LONGEST, BaseImage, BaseImages
from fedpkg_container.engines.inside.export import ARCHIVE, EXPORTED
from fedpkg_container.engines.isolation import Isolation
from fedpkg_container.engines.network import NONE, attached
from fedpkg_container.engines.opening import open_plain
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
from fedpkg_container.registry.manifests import INDEX_TYPES, MAX_MANIFEST_SIZE, Descriptor, Manifest
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
#: Seconds between two looks at what a worker has done.
_LOOK = 0.01
#: Bytes of files that are read out of an image.
LONGEST_FILES = 10**9
#: Bytes that are copied at a time, and bytes of a log that are shown.
_PART, _SHOWN = 16 << 20, 4000


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
    :param work: the worker's directory, which holds it
    """

    manifests: Mapping[str, Manifest]
    directory: Path
    work: Path

    def chunks(self, blob: Descriptor) -> Iterator[bytes]:
        """Yield the content of a blob.

        :raises OSError: there is no such file
        """
        with open_plain(self.directory / blob.digest.partition(":")[2], self.work) as file:
            while chunk := file.read(1 << 20):
                yield chunk


class Exporting:
    """An image that a worker prepares.

    :param program: the worker
    :param log: what it prints
    :param target: directory that it owns, for blobs, manifests and the archive
    :param work: directory of the worker, in which ``target`` is
    :param kinds: the formats
    :param tick: called every second while this process waits or copies; what it raises ends the wait
    """

    def __init__(
        self,
        program: subprocess.Popen[bytes],
        log: Path,
        target: Path,
        *,
        work: Path,
        kinds: Sequence[str],
        tick: Callable[[], None],
    ) -> None:
        self._program, self._log, self._target, self._work, self.kinds = program, log, target, work, kinds
        self._tick = tick
        self._exported: Exported | None = None

    def wait(self) -> Exported:
        """Wait until everything for registries is there.

        :raises ProgramError: it cannot be exported
        :raises RegistryError: what was exported is not an image
        """
        if self._exported is None:
            self._wait_for(lambda: os.path.lexists(self._target / EXPORTED))
            manifests = {}
            for kind in self.kinds:
                with open_plain(self._target / f"{kind}.json", self._work) as file:
                    manifests[kind] = Manifest.read(file.read(MAX_MANIFEST_SIZE + 1), where=kind)
            self._exported = Exported(manifests, self._target, self._work)
        return self._exported

    def save(self, target: Path) -> None:
        """Wait until the archive is complete, and copy it to a file.

        :raises ProgramError: it cannot be exported
        """
        self._wait_for(lambda: False)
        with open_plain(self._target / ARCHIVE, self._work) as source, target.open("wb") as file:
            while chunk := source.read(_PART):
                self._tick()  # what a worker wrote may be long, and have holes
                file.write(chunk)

    def _wait_for(self, is_there: Callable[[], bool]) -> None:
        """Wait until something is there, or the worker has ended well.

        :raises ProgramError: it failed, or takes too long
        """
        ticked = time.monotonic()
        deadline = ticked + STEP_TIMEOUT
        while self._program.poll() is None and not is_there():
            if time.monotonic() > deadline:
                raise ProgramTimeoutError(f"the image was not exported within {STEP_TIMEOUT:g} s")
            if time.monotonic() - ticked > 1:
                ticked = time.monotonic()
                self._tick()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._program.wait(timeout=_LOOK)
        if self._program.returncode:
            raise ProgramError("export", self._program.returncode, printable(_end_of(self._log)))


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
        #: Called every second while a worker works that is not ``build``'s; what it raises ends the worker.
        self.tick: Callable[[], None] = lambda: None
        self._exports: dict[str, Exporting] = {}

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
        work = self.workspace.work
        with contextlib.suppress(OSError, ValueError), open_plain(work / _IMAGE_ID, work) as file:
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
        self,
        image: str,
        *,
        directories: Sequence[str] = (),
        files: Sequence[str] = (),
        present: Sequence[str] = (),
        base: BaseImage | None = None,
    ) -> Path:
        """Copy files out of an image, without executing anything of it; a directory with them at their places.

        :param image: image ID
        :param directories: directories whose plain files are copied
        :param files: files that are copied, following links within the image
        :param present: what becomes an empty file or directory, where the image has one
        :param base: the base image that it is: its store alone is read, which no worker of a build can write
        :raises ProgramError: the image cannot be read
        """
        target = self._new("files")
        own = [self.workspace.work / "graph", *(store.path for store in self.bases.stores)]
        stores = own if base is None else [base.graph]
        request = {
            "image": image.removeprefix("sha256:"),
            "stores": [str(each) for each in stores],
            "target": str(target),
            "directories": [*directories],
            "files": [*files],
            "present": [*present],
            "longest": LONGEST_FILES,
        }
        run(self._program("read_image.py", request), timeout=STEP_TIMEOUT, tick=self.tick)
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
        if exporting := self._exports.get(image):
            exported = exporting.wait()
            config = exported.manifests[_DOCKER].blobs[0]
            configuration: dict[str, Any] = json.loads(b"".join(exported.chunks(config)))
            return configuration
        described: dict[str, Any] = json.loads(self._run("inspect", "--type", "image", image))["Docker"]
        return described

    def export(self, image: str, kinds: Sequence[str]) -> Exported:
        """Prepare an image for a registry, unless that is done already, or is being done.

        :param kinds: formats, some of ``v2s2`` and ``oci``
        :raises ProgramError: it cannot be exported
        :raises RegistryError: what was exported is not an image
        """
        known = self._exports.get(image)
        if known and not set(kinds) - set(known.kinds):
            return known.wait()
        with self.exporting(image, kinds) as made:
            return made.wait()

    @contextlib.contextmanager
    def exporting(
        self, image: str, kinds: Sequence[str], *, archive: ImageReference | None = None, compressed: bool = True
    ) -> Iterator[Exporting]:
        """Prepare an image for a registry, and an archive of it, in a worker while other things are done.

        :param kinds: formats, some of ``v2s2`` and ``oci``
        :param archive: what a docker-archive calls the image; None for no archive
        :param compressed: whether the archive is, with gzip; buildah 1.28 and skopeo 1.9 read only archives that are
            not
        """
        # Archives are in docker's format, whatever a registry gets.
        wanted = tuple(dict.fromkeys([_DOCKER, *kinds]))
        others = {kind: self._new("export") for kind in wanted[1:]}
        target = self._new("exported")
        known: dict[str, dict[str, Any]] = {}
        for base in self.bases.used.values():
            for diff_id, blob in base.layers.items():
                known[diff_id] = {**blob, "file": str(base.blob(blob["digest"]))}
        push = ["buildah", "push", "--quiet", "-D", "--format"]
        request = {
            "push": [*push, _DOCKER, image, "docker-archive:/dev/stdout"],
            "others": {kind: ([*push, kind, image, f"dir:{path}"], str(path)) for kind, path in others.items()},
            "target": str(target),
            "known": known,
            "gzip": _gzip(),
            "archive": str(archive) if archive else "",
            "compressed": compressed,
        }
        contents = [base.content for base in self.bases.used.values()]
        command = self._program("export.py", request, readable=contents)
        log = self.folder / f"{target.name}.log"
        with run_in_background(command, log=log, env=self._environment(), writes_files=True) as program:
            self._exports[image] = Exporting(
                program, log, target, work=self.workspace.work, kinds=wanted, tick=lambda: self.tick()
            )
            yield self._exports[image]

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
            made = Manifest.of({"schemaVersion": 2, "mediaType": INDEX_TYPES[kind], "manifests": listed})
            repository.put_manifest(target.tag, made)
        return made.digest

    def to_local_storage(self, image: str, name: ImageReference) -> str:
        """Bring an image into the local storage of the user that runs this, under a name; its image ID there."""
        archive = self.folder / "image.tar"
        with self.exporting(image, [], archive=name, compressed=False) as exporting:
            exporting.save(archive)
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
        return run(command, timeout=STEP_TIMEOUT, check=False, tick=self.tick).status == 0

    def _run(self, *arguments: str, timeout: float = STEP_TIMEOUT) -> str:
        return run(self._worker(["buildah", *arguments]), timeout=timeout, tick=self.tick).text


def _end_of(log: Path) -> str:
    """The last characters of a log, which a worker writes and may have made as long as it likes."""
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _SHOWN))
        return file.read(_SHOWN).decode(errors="replace")


def _gzip() -> list[str]:
    """Return the command that compresses: igzip (isa-l) where it is installed, else gzip.

    Of 562 MB of /usr, igzip -3 makes 256 MB in 2 s, gzip -6 238 MB in 32 s, and gzip -3 249 MB in 15 s of a processor.
    """
    return ["igzip", "-n", "-3", "-c"] if shutil.which("igzip") else ["gzip", "-n", "-6", "-c"]
