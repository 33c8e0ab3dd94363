# SPDX-License-Identifier: GPL-2.0-or-later
"""A build in a pod: the local worker's steps, with the inputs of a Secret and the result in staging."""

from __future__ import annotations

import gzip
import json
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from koji.daemon import SCM

from fedpkg_container.engines.network import HOST, ISOLATED, check
from fedpkg_container.errors import BuildFailedError, FedpkgContainerError
from fedpkg_container.image.arch_build import ArchBuild
from fedpkg_container.image.building.limits import disk_guard
from fedpkg_container.image.building.log import BuildLog
from fedpkg_container.image.config import BuilderConfig, read_builder_config
from fedpkg_container.image.engine import open_engine
from fedpkg_container.image.resolve.repositories import KojiTopdir
from fedpkg_container.image.resolve.source import fetch_checkout
from fedpkg_container.model import pod as contract
from fedpkg_container.model.build import BuildSpec, BuiltImage
from fedpkg_container.model.pod import TerminationMessage, records
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry import build_artifact
from fedpkg_container.registry.skopeo import Registry
from fedpkg_container.signals import Interrupted, interruptible, shield_signals
from fedpkg_container.text import os_error_text, reason_text

#: Size limit of the unpacked spec, bytes.
MAX_SPEC_SIZE = 16 << 20
#: Seconds to store the result after the build was interrupted; SIGKILL follows after the pod's grace period.
INTERRUPTED_TIMEOUT = 5.0


class PodLog(BuildLog):
    """A build log that prints its lines as numbered records, and keeps them for the artifact.

    :param path: file of the records
    :param output: where they are printed
    """

    def __init__(self, path: Path, output: BinaryIO) -> None:
        super().__init__(path)
        self._output = output
        self.records = 0

    def append(self, text: bytes | str) -> None:
        """Append a line, without logging it: the log of a pod is what it prints."""
        self._write(text)

    def _write(self, text: bytes | str) -> None:
        """Print a line at once: a pod can be killed at any time."""
        line = text.encode(errors="replace") if isinstance(text, str) else text
        for record in records(line, self.records + 1):
            super()._write(bytes(record))
            self._output.write(bytes(record) + b"\n")
            self.records = record.number
        self._output.flush()


@dataclass(frozen=True)
class Inputs:
    """The inputs of a pod.

    :param topurl: URL of Koji's topdir; empty if it has none
    :param policed: whether NetworkPolicies restrict the pod
    """

    spec: BuildSpec
    config: BuilderConfig
    topurl: str = ""
    policed: bool = False

    @classmethod
    def read(cls, directory: Path, *, policed: bool = False) -> Inputs:
        """Read the input files.

        :raises FedpkgContainerError: if they are invalid, or were written by another version
        """
        try:
            with gzip.open(directory / contract.SPEC_FILE) as file:
                content = file.read(MAX_SPEC_SIZE + 1)
            packed = json.loads(content) if len(content) <= MAX_SPEC_SIZE else None
            topurl = (directory / contract.TOPURL_FILE).read_text()
        except (OSError, EOFError, ValueError) as error:
            raise BuildFailedError(f"cannot read the inputs of the pod: {reason_text(error)}") from error
        if not isinstance(packed, Mapping):
            raise BuildFailedError("the inputs of the pod are not a build spec")
        config = read_builder_config(directory / contract.SITE_FILE)
        access = replace(config.access, renewal_timeout=contract.RENEWAL_TIMEOUT)
        return cls(BuildSpec.unpack(packed), replace(config, access=access), topurl, policed)


@dataclass
class PodRun:
    """One build.

    :param log: where its output goes
    :param directory: for the files of the result
    """

    inputs: Inputs
    log: PodLog
    directory: Path

    def run(self) -> TerminationMessage:
        """Build, and store the result; return how it ended."""
        files: dict[str, Path] = {}
        error: FedpkgContainerError | None = None
        try:
            with interruptible():
                self._build(files)
        except FedpkgContainerError as raised:
            error = raised
        except Interrupted as raised:
            error = BuildFailedError(f"the pod was stopped ({raised})")
        except OSError as raised:
            error = BuildFailedError(os_error_text(raised), solution="check the volumes of the pod")
        return self._store(files, error)

    def _build(self, files: dict[str, Path]) -> None:
        spec, config, log = self.inputs.spec, self.inputs.config, self.log
        with open_engine(config, f"task-{spec.task_id}") as engine, self._dockerfile_kept(engine.directory, files):
            deadline, tick = config.limits.preparation_deadline(), disk_guard(engine.directory, config.limits, log)
            checkout = fetch_checkout(SCM(spec.source_url), engine.workspace, log.report, tick, deadline=deadline)
            built = ArchBuild(
                spec=replace(spec, upload_directory="", network=self._network()),
                config=config,
                engine=engine,
                checkout=checkout,
                koji_topdir=KojiTopdir(Path(contract.TOPDIR), self.inputs.topurl),
                log=log,
                upload=_refuse_upload,
                deadline=deadline,
            ).run()
            files[build_artifact.IMAGE] = self._written(built)

    def _network(self) -> str:
        """Return the network of RUN: in a pod without /dev/net/tun, ``isolated`` is the pod's own network.

        :raises FedpkgContainerError: if the site has no NetworkPolicies that would restrict it
        """
        network = self.inputs.spec.network
        if network != ISOLATED:
            return network
        try:
            check(network)
        except FedpkgContainerError:
            if not self.inputs.policed:
                raise
            self.log.report("the network of RUN is that of the pod, as the site's NetworkPolicies restrict it")
            return HOST
        return network

    @contextmanager
    def _dockerfile_kept(self, build_dir: Path, files: dict[str, Path]) -> Iterator[None]:
        """Keep the Dockerfile as passed to buildah, also if the build fails."""
        try:
            yield
        finally:
            if (source := build_dir / "Dockerfile").is_file():
                files[build_artifact.DOCKERFILE] = self.directory / "Dockerfile"
                files[build_artifact.DOCKERFILE].write_bytes(source.read_bytes())

    def _written(self, built: BuiltImage) -> Path:
        path = self.directory / "image.json"
        text = json.dumps(built.pack(), ensure_ascii=False, separators=(",", ":"))
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        return path

    def _store(self, files: Mapping[str, Path], error: FedpkgContainerError | None) -> TerminationMessage:
        """Push the result and the log; without a result only the log may be missing."""
        reason, solution = (error.reason, error.solution) if error else ("", "")
        spec, config = self.inputs.spec, self.inputs.config
        log = self.directory / "log.gz"
        with gzip.open(log, "wb") as target, self.log.path.open("rb") as source:
            while chunk := source.read(1 << 20):
                target.write(chunk)
        staging = ImageReference(config.candidate, spec.staging_repository)
        access = config.access if error is None else config.access.without_retries(INTERRUPTED_TIMEOUT)
        digest = ""
        try:
            with shield_signals(), Registry(access).repository(staging) as repository:
                tag = f"result-{spec.arch}-{uuid.uuid4().hex[:12]}"
                digest = build_artifact.push(repository, tag, {**files, build_artifact.LOG: log})
        except FedpkgContainerError as raised:
            reason, solution = (reason, solution) if error else (raised.reason, raised.solution)
        return TerminationMessage(self.log.records, digest, reason, solution)


def run(inputs: Path, state: Path, message: Path, *, policed: bool = False) -> int:
    """Build what the input files describe; return the exit status.

    :param state: directory for builds, which is on a volume
    :param message: file for the termination message
    :param policed: whether NetworkPolicies restrict the pod
    """
    directory = state / f"result-{uuid.uuid4().hex[:12]}"
    directory.mkdir(parents=True)
    log = PodLog(directory / "log", sys.stdout.buffer)
    with log:
        try:
            outcome = PodRun(Inputs.read(inputs, policed=policed), log, directory).run()
        except FedpkgContainerError as error:
            outcome = TerminationMessage(log.records, "", error.reason, error.solution)
    message.write_bytes(outcome.encode())
    return 1 if outcome.error else 0


def _refuse_upload(path: Path, directory: str) -> None:
    """Refuse an upload to Koji: a pod has no session."""
    raise BuildFailedError(f"a pod cannot upload {path.name} to {directory}")
