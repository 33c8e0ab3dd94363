# SPDX-License-Identifier: GPL-2.0-or-later
"""Koji builder plugin: the tasks ``buildContainer`` and ``createContainer``.

It provides source, target, sessions and logs from Koji to the pipeline in ``fedpkg_container.image``.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from xmlrpc.client import Fault

import jsonschema  # noqa: F401, used for options: imported once here, not by the process of each task
import koji

from fedpkg_container import logs
from fedpkg_container.cluster.client import ClusterClient, ClusterError
from fedpkg_container.cluster.manifests import kind_of
from fedpkg_container.cluster.settings import ClusterConfig
from fedpkg_container.cluster.sweeper import sweep
from fedpkg_container.distgit.container_yaml import ContainerYaml
from fedpkg_container.engines.versions import exposures
from fedpkg_container.errors import BuildFailedError, FedpkgContainerError
from fedpkg_container.hub.call_log import log_calls
from fedpkg_container.hub.protocol import HubSession
from fedpkg_container.hub.session import CONNECTION_ERRORS, log_in_as, log_out
from fedpkg_container.hub.tasks import ended_tasks, first_failure
from fedpkg_container.image import arch_result
from fedpkg_container.image.arch_build import ArchBuild
from fedpkg_container.image.arch_result import ArchTaskResult
from fedpkg_container.image.building.log import BuildLog
from fedpkg_container.image.cluster_build import ClusterArchBuild
from fedpkg_container.image.config import BuilderConfig, config_path, read_builder_config
from fedpkg_container.image.container_build import ContainerBuild
from fedpkg_container.image.task import BuildContext, BuildTask
from fedpkg_container.koji_plugins.container_task import ContainerTask
from fedpkg_container.model.build import BuildSpec, BuiltImage
from fedpkg_container.model.koji_types import BuildTaskResult, TargetInfo
from fedpkg_container.model.options import BuildOptions, option_problems, unavailable_options, without_none
from fedpkg_container.model.platforms import Platforms
from fedpkg_container.steps import reached

#: Logger of Koji that all records of this package go to: its level and handlers are those of kojid.
KOJI_LOGGER = "koji.build.container"
_log = logging.getLogger(KOJI_LOGGER)

#: Weight of a task that follows a pod; a build on the builder has 2.0.
CLUSTER_WEIGHT = 0.2


def _log_configuration_errors() -> None:
    """Log all errors in the configuration when kojid starts."""
    try:
        read_builder_config()
    except FedpkgContainerError as error:
        _log.error(
            "invalid configuration, container builds are disabled on this host: %s (%s)", error.reason, error.solution
        )


def _log_vulnerabilities() -> None:
    """Log known, unmitigated vulnerabilities of this builder when kojid starts."""
    for exposure in exposures():
        _log.warning("%s", exposure)


logs.forward_to_koji(KOJI_LOGGER)
_log_configuration_errors()
_log_vulnerabilities()


class BuildContainerTask(ContainerTask):
    """The task of a whole build."""

    Methods = ["buildContainer"]
    _taskWeight = 0.5

    def handler(self, src: str, target: str, opts: dict[str, object] | None = None) -> BuildTaskResult:
        """Build a container image and record it.

        :returns: pull specs (``repositories``), IDs of Koji builds as strings (``koji_builds``), ``user_warnings``, and
            the pull specs of images and SBOMs (``arches``, ``sboms``; not in upstream's results)
        """
        problems = option_problems(opts) or unavailable_options(opts)
        if problems:
            raise koji.BuildError("; ".join(problems))
        options = without_none(opts)
        self.session.cancelTaskChildren(self.id)  # subtasks of an earlier, killed run
        scratch = bool(options.get("scratch"))
        with self.supervised("container-build.log") as log:
            config = read_builder_config()
            target_info = self.session.getBuildTarget(target)
            if not target_info:
                raise BuildFailedError(
                    f"build target {target} does not exist", solution="list the targets: koji list-targets"
                )
            owner = self.session.getUser(self.session.getTaskInfo(self.id, strict=True)["owner"])
            assert owner is not None, "Koji's tasks have owners"
            arches = self._build_tag_arches(target_info, options)
            with self.workspace(config) as workspace, self._cg_session(config) as cg_session:
                build_tag = target_info["build_tag"]
                deadline = config.limits.preparation_deadline()
                checkout = self.checkout(
                    src, log, config, workspace, deadline=deadline, scratch=scratch, build_tag=build_tag
                )
                reached("fetched", source=checkout.source_url)
                platforms = ContainerYaml.read(checkout.path).platforms
                task = BuildTask(
                    self.id,
                    checkout.source_url,
                    target_info,
                    owner["name"],
                    options,
                    self._remaining_arches(arches, platforms),
                )
                context = BuildContext(
                    task=task,
                    config=config,
                    session=self.session,
                    cg_session=cg_session,
                    checkout=checkout.path,
                    koji_topdir=self.koji_topdir,
                    log=log,
                    deadline=deadline,
                )
                return ContainerBuild(context, self._run_arch_tasks).run()

    def _build_tag_arches(self, target: TargetInfo, options: BuildOptions) -> list[str]:
        """Return the architectures of the build tag, limited to the requested ones."""
        build_config = self.session.getBuildConfig(target["build_tag"])
        arches = [koji.canonArch(arch) for arch in (build_config["arches"] or "").split()]
        if not arches:
            raise BuildFailedError(
                f"Koji tag {build_config['name']} has no architectures", solution="contact a release engineer"
            )
        requested = [koji.canonArch(arch) for arch in (options.get("arch_override") or "").split()]
        chosen = [arch for arch in arches if not requested or arch in requested]
        if not chosen:
            raise BuildFailedError(
                f"Koji tag {build_config['name']} has none of the architectures {' '.join(requested)}, only"
                f" {' '.join(arches)}",
                solution="choose from those with --arches",
            )
        dropped = [arch for arch in arches if arch not in chosen]
        if dropped:
            _log.info("architectures dropped because they were not requested: %s", " ".join(dropped))
        return list(dict.fromkeys(chosen))

    @staticmethod
    def _remaining_arches(arches: list[str], platforms: Platforms) -> list[str]:
        """Return the architectures that container.yaml allows."""
        remaining = platforms.select(arches)
        dropped = [arch for arch in arches if arch not in remaining]
        if dropped:
            _log.info("architectures dropped by platforms in container.yaml: %s", " ".join(dropped))
        if not remaining:
            raise BuildFailedError(
                f"platforms in container.yaml excludes every architecture of the build ({' '.join(arches)})",
                solution="fix platforms.only or platforms.not",
            )
        return remaining

    @contextlib.contextmanager
    def _cg_session(self, config: BuilderConfig) -> Iterator[HubSession]:
        """Provide the session that reserves and imports: that of the site's shared account, or the builder's own."""
        account = config.content_generator
        if not account.certificate and not account.keytab:
            yield self.session
            return
        authority = str(account.server_ca) if account.server_ca else None
        session = log_calls(koji.ClientSession(self.options.server, {**self.session.opts, "serverca": authority}))
        log_in_as(session, account)
        try:
            yield session
        finally:
            log_out(session)

    def _run_arch_tasks(self, specs: list[BuildSpec]) -> list[BuiltImage]:
        """Run a subtask per architecture, all in parallel; return their images.

        If one fails, the others are canceled.

        :raises BuildFailedError: the first error, with its architecture
        """
        earlier_tasks = len(self.session.getTaskChildren(self.id))  # of a killed run; labels must be unique
        suffix = f", again after {earlier_tasks}" if earlier_tasks else ""
        task_ids: list[int] = []
        try:
            for spec in specs:
                task_ids.append(self._subtask(spec, spec.arch + suffix))
                _log.info("started task %d for %s", task_ids[-1], spec.arch)
            results = self.wait(task_ids, all=True, failany=True)
        except (koji.GenericError, Fault) as error:
            _log.info("canceling the tasks of the other architectures: %s", error)
            self.session.cancelTaskChildren(self.id)
            raise (first_failure(self.session, task_ids) or error) from error
        return [self._download_result(results[task_id], task_id, spec.arch) for task_id, spec in zip(task_ids, specs)]

    def _download_result(self, result: Mapping[str, object], task_id: int, arch: str) -> BuiltImage:
        """Download the description of an image from the output of its task."""

        def read(name: str, offset: int, size: int) -> bytes:
            content: bytes = self.session.downloadTaskOutput(task_id, name, offset, size)
            return content

        try:
            return arch_result.download_result(result, arch, read)
        except (koji.GenericError, Fault) as error:
            raise BuildFailedError(
                f"cannot read the output of task {task_id} ({arch}): {error}", solution="build again"
            ) from error

    def _subtask(self, spec: BuildSpec, label: str) -> int:
        task_id: int = self.session.host.subtask(
            method="createContainer", arglist=[spec.pack()], parent=self.id, arch=spec.arch, label=label
        )
        return task_id


class CreateContainerTask(ContainerTask):
    """The task of the build on one architecture."""

    Methods = ["createContainer"]
    _taskWeight = 2.0

    def handler(self, spec: dict[str, object]) -> ArchTaskResult:
        """Build the image of one architecture and push it to staging.

        :param spec: packed ``fedpkg_container.model.build.BuildSpec``
        :returns: reference to the image's description, see ``fedpkg_container.image.arch_result``
        """
        with self.supervised(f"{spec['arch']}.log") as log:
            return self._build(BuildSpec.unpack(spec), log)

    def _build(self, build_spec: BuildSpec, log: BuildLog) -> ArchTaskResult:
        with logs.subject(f"{build_spec.nvr} {build_spec.arch}"):
            config = read_builder_config()
            if config.cluster and config.cluster.builds(build_spec.arch, self.channel):
                return self._build_in_cluster(build_spec, config, config.cluster, log)
            with self.engine(config) as engine:
                deadline = config.limits.preparation_deadline()
                checkout = self.checkout(
                    build_spec.source_url,
                    log,
                    config,
                    engine.workspace,
                    deadline=deadline,
                    scratch=build_spec.scratch,
                )
                reached("fetched again", arch=build_spec.arch)
                build = ArchBuild(
                    spec=build_spec,
                    config=config,
                    engine=engine,
                    checkout=checkout,
                    koji_topdir=self.koji_topdir,
                    log=log,
                    upload=lambda path, directory: self.session.uploadWrapper(
                        str(path), f"{build_spec.upload_directory}/{directory}"
                    ),
                    deadline=deadline,
                )
                return arch_result.upload_result(build.run(), engine.directory, lambda path: self.uploadFile(str(path)))

    def weight(self) -> float:
        """Return the weight of the task: a builder that follows a pod can hold many builds."""
        with contextlib.suppress(FedpkgContainerError, LookupError):
            cluster = read_builder_config().cluster
            if cluster and cluster.builds(self.params[0]["arch"], self.channel):
                return CLUSTER_WEIGHT
        return float(super().weight())

    def _build_in_cluster(
        self, spec: BuildSpec, config: BuilderConfig, cluster: ClusterConfig, log: BuildLog
    ) -> ArchTaskResult:
        """Build in a pod; return the same result as a build on this builder."""
        log.max_bytes = config.limits.log_size
        self.check_source(spec.source_url, scratch=spec.scratch)
        self._sweep(cluster)
        directory = Path(self.workdir) / "cluster"
        directory.mkdir()
        image = ClusterArchBuild(
            spec=spec,
            config=config,
            cluster=cluster,
            site=config_path(),
            task_id=self.id,
            hub=self.session.baseurl,
            koji_topdir=self.koji_topdir,
            directory=directory,
            log=log,
            upload=lambda path, target: self.session.uploadWrapper(str(path), f"{spec.upload_directory}/{target}"),
            restarts=self._restarts,
        ).run()
        return arch_result.upload_result(image, directory, lambda path: self.uploadFile(str(path)))

    def _restarts(self) -> bool:
        """Return whether this task starts again after an interruption: kojid is being stopped, and frees it."""
        try:
            task = self.session.getTaskInfo(self.id)
        except (koji.GenericError, *CONNECTION_ERRORS):
            return True  # unknown: a pod of a canceled task is left to the sweeper
        return task is not None and task["state"] in (koji.TASK_STATES["FREE"], koji.TASK_STATES["OPEN"])

    def _sweep(self, cluster: ClusterConfig) -> None:
        """Delete what crashed builds left in the cluster; failures are left to the next task."""
        try:
            client = ClusterClient(cluster.kubeconfig, cluster.context)
            sweep(
                client,
                kind_of(cluster),
                cluster.namespace,
                self.session.baseurl,
                ended=lambda tasks: ended_tasks(self.session, tasks),
            )
        except (ClusterError, koji.GenericError) as error:
            _log.warning("cannot look for leftovers in the cluster: %s", error)
