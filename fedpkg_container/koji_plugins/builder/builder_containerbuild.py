"""Koji builder plugin: the tasks ``buildContainer`` and ``createContainer``.

Thin: it gets from Koji what a build needs (the source, the target, sessions, logs on the hub) and hands it to
``fedpkg_container.image``.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO
from xmlrpc.client import Fault

import jsonschema  # noqa: F401, what checks options: loaded once, not by the process of each task
import koji
import requests
from koji.daemon import SCM, incremental_upload
from koji.tasks import BaseTaskHandler

from fedpkg_container.distgit.container_yaml import ContainerYaml
from fedpkg_container.engines.buildah import Buildah
from fedpkg_container.engines.isolation import choose
from fedpkg_container.engines.workspace import Workspaces
from fedpkg_container.errors import BuildFailedError, FedpkgContainerError
from fedpkg_container.hub.canceled import Cancellation
from fedpkg_container.hub.subtasks import first_failure
from fedpkg_container.image.arch_build import ArchBuild
from fedpkg_container.image.container_build import ContainerBuild
from fedpkg_container.image.koji_files import KojiFiles
from fedpkg_container.image.log import BuildLog
from fedpkg_container.image.site import Site, read_site
from fedpkg_container.image.source import Source, fetch
from fedpkg_container.image.task import Task
from fedpkg_container.image.watch import guard
from fedpkg_container.model.build import BuildSpec, BuiltImage
from fedpkg_container.model.options import option_problems, unavailable_options, without_none
from fedpkg_container.model.platforms import Platforms
from fedpkg_container.signals import Interrupted, die_with_parent, interruptible

logger = logging.getLogger("koji.build.container")


class ContainerTask(BaseTaskHandler):  # type: ignore[misc]
    """What both tasks need: the source, a log that grows on the hub, and an end that leaves nothing behind."""

    def checkHost(self, hostdata: dict[str, Any]) -> bool:  # noqa: N802, ARG002, the name is Koji's
        """Whether this builder can build: a task is left to others where the site's file is wrong."""
        try:
            read_site()
        except FedpkgContainerError as error:
            self.logger.error("task %s is left to other builders: %s", self.id, error.reason)
            return False
        return True

    def checkpoint(self, step: str) -> None:
        """Called after each step of a build: a place where tests stop it."""
        self.logger.debug("task %s: %s", self.id, step)

    @contextlib.contextmanager
    def supervised(self, log_name: str) -> Iterator[BuildLog]:
        """Run a task's work: errors become Koji's, a signal ends it, and its log is complete on the hub.

        A builder daemon that is killed takes its tasks along: they give back what they hold, and free themselves
        on the hub, so that another builder can run them.
        """
        daemon = os.getppid()
        die_with_parent()
        if os.getppid() != daemon:
            raise Interrupted("the builder daemon has died")
        path = Path(self.workdir) / log_name
        with BuildLog(path) as log, path.open("rb") as reader:
            canceled = Cancellation(self.session, self.id)

            def send() -> None:
                canceled.check()
                self._send(log_name, reader)

            log.send = send
            try:
                with interruptible():
                    yield log
            except FedpkgContainerError as error:
                message = f"{error.reason}. {error.solution}".rstrip(". ")
                log.line(f"failed: {message}")
                raise koji.BuildError(message) from error
            except Interrupted:
                if os.getppid() != daemon:
                    log.line("the builder was stopped: the task begins again on another one")
                    self._send(log_name, reader)
                    self.session.host.freeTasks([self.id])
                raise
            finally:
                with contextlib.suppress(koji.GenericError):  # canceled: the hub takes no more of this task
                    self._send(log_name, reader)

    def _send(self, name: str, reader: BinaryIO) -> None:
        """Send what is new of a log; what could not be sent is sent the next time."""
        position = reader.tell()
        try:
            incremental_upload(self.session, name, reader, self.getUploadDir(), logger=self.logger)
        except BaseException:
            reader.seek(position)
            raise

    @contextlib.contextmanager
    def engine(self, site: Site) -> Iterator[Buildah]:
        """An engine with a store of its own, which is gone afterwards."""
        workspaces = Workspaces(site.state)
        isolation = site.isolation or choose(site.state)
        with workspaces.open(f"task-{self.id}") as folder:
            engine = Buildah(workspaces, folder, isolation=isolation, access=site.access, denied=site.denied_networks)
            yield engine
            self._prune(engine, site)

    def _prune(self, engine: Buildah, site: Site) -> None:
        """Remove base images that no build has used for long; what cannot be removed now is tried again later."""
        try:
            removed = engine.bases.prune(site.base_images_keep)
        except (FedpkgContainerError, OSError) as error:
            self.logger.warning("base images could not be removed: %s", error)
        else:
            if removed:
                self.logger.info("removed %d base images that were not used any more", len(removed))

    @property
    def koji_files(self) -> KojiFiles:
        """Koji's files, as kojid's configuration says where they are."""
        return KojiFiles(Path(self.options.topdir), getattr(self.options, "topurl", None) or "")

    def checkout(self, url: str, log: BuildLog, site: Site, *, scratch: bool, build_tag: Any = None) -> Source:
        """The source at the exact commit, after checking that it may be built here."""
        if not SCM.is_scm_url(url):
            raise BuildFailedError(f"not the URL of a source: {url}", solution="give git+https://HOST/PATH#COMMIT")
        scm = SCM(url)
        task = self.session.getTaskInfo(self.id)
        channel = self.session.getChannel(task["channel_id"], strict=True)["name"]
        scm.assert_allowed(
            allowed=self.options.allowed_scms,
            session=self.session,
            by_config=self.options.allowed_scms_use_config,
            by_policy=self.options.allowed_scms_use_policy,
            policy_data={"user_id": task["owner"], "channel": channel, "scratch": scratch},
        )
        facts = {"scminfo": scm.get_info(), "build_tag": build_tag, "scratch": scratch}
        self.run_callbacks("preSCMCheckout", **facts)
        workdir = Path(self.workdir)
        source = fetch(scm, workdir / "source", log.say, guard(workdir, site.limits, log))
        self.run_callbacks("postSCMCheckout", **facts, srcdir=str(source.folder))
        return source


def _say_wrong_settings() -> None:
    """Name everything that is wrong with the site's file in the daemon's log, when it starts."""
    try:
        read_site()
    except FedpkgContainerError as error:
        logger.error("no container is built here: %s (%s)", error.reason, error.solution)


_say_wrong_settings()


class BuildContainerTask(ContainerTask):
    """A whole build."""

    Methods = ["buildContainer"]
    _taskWeight = 0.5

    def handler(self, src: str, target: str, opts: dict[str, Any] | None = None) -> dict[str, Any]:
        """Build a container image and record it.

        :returns: pull specs (``repositories``), ids of Koji builds as strings (``koji_builds``), ``user_warnings``, and
            the pull spec of each arch (``arches``), which upstream does not give
        """
        problems = option_problems(opts) or unavailable_options(opts)
        if problems:
            raise koji.BuildError("; ".join(problems))
        options = without_none(opts)
        self.session.cancelTaskChildren(self.id)  # those of an earlier run, when this one began again
        scratch = bool(options.get("scratch"))
        with self.supervised("container-build.log") as log:
            site = read_site()
            target_info = self.session.getBuildTarget(target)
            if not target_info:
                raise BuildFailedError(f"there is no build target {target}", solution="see koji list-targets")
            owner = self.session.getUser(self.session.getTaskInfo(self.id)["owner"])["name"]
            arches = self._arches(target_info, options)
            source = self.checkout(src, log, site, scratch=scratch, build_tag=target_info["build_tag"])
            self.checkpoint("fetched")
            platforms = ContainerYaml.read(source.folder).platforms
            task = Task(self.id, source.url, target_info, owner, options, self._chosen(arches, platforms))
            with self.engine(site) as engine, self._generator(site) as generator:
                return ContainerBuild(
                    task=task,
                    site=site,
                    session=self.session,
                    generator=generator,
                    checkout=source.folder,
                    files=self.koji_files,
                    engine=engine,
                    log=log,
                    spawn=self._spawn,
                    after=self.checkpoint,
                ).run()

    def _arches(self, target: dict[str, Any], options: dict[str, Any]) -> list[str]:
        """The arches of the build tag, limited to those that were asked for."""
        config = self.session.getBuildConfig(target["build_tag"])
        arches = [koji.canonArch(arch) for arch in (config["arches"] or "").split()]
        if not arches:
            raise BuildFailedError(f"tag {config['name']} has no arches", solution="ask a release engineer")
        wanted = [koji.canonArch(arch) for arch in (options.get("arch_override") or "").split()]
        chosen = [arch for arch in arches if not wanted or arch in wanted]
        if not chosen:
            raise BuildFailedError(
                f"none of the arches {' '.join(wanted)} is built in tag {config['name']} ({' '.join(arches)})",
                solution="choose some of those with --arches",
            )
        return list(dict.fromkeys(chosen))

    @staticmethod
    def _chosen(arches: list[str], platforms: Platforms) -> list[str]:
        """The arches that container.yaml leaves."""
        chosen = platforms.choose(arches)
        if not chosen:
            raise BuildFailedError(
                f"platforms of container.yaml leave none of {' '.join(arches)}", solution="mend platforms.only or .not"
            )
        return chosen

    @contextlib.contextmanager
    def _generator(self, site: Site) -> Iterator[Any]:
        """The session that reserves and imports: the site's shared account, or the builder's own."""
        account = site.generator
        if not account.certificate and not account.keytab:
            yield self.session
            return
        authority = str(account.server_ca) if account.server_ca else None
        session = koji.ClientSession(self.options.server, {**self.session.opts, "serverca": authority})
        if account.certificate:
            session.ssl_login(str(account.certificate), None, authority)
        else:
            session.gssapi_login(account.principal, str(account.keytab))
        try:
            yield session
        finally:
            with contextlib.suppress(koji.GenericError, requests.RequestException):
                session.logout()

    def _spawn(self, specs: list[BuildSpec]) -> list[BuiltImage]:
        """One task an arch, all at the same time; their results when all have ended well.

        When one fails, the others are canceled.

        :raises BuildFailedError: the first error, with its arch
        """
        earlier = len(self.session.getTaskChildren(self.id))  # of a run that was killed; labels find tasks again
        suffix = f", again after {earlier}" if earlier else ""
        ids: list[int] = []
        try:
            for spec in specs:
                ids.append(self._subtask(spec, spec.arch + suffix))
            results = self.wait(ids, all=True, failany=True)
        except (koji.GenericError, Fault) as error:
            self.session.cancelTaskChildren(self.id)
            raise (first_failure(self.session, ids) or error) from error
        return [BuiltImage.unpack(results[each]) for each in ids]

    def _subtask(self, spec: BuildSpec, label: str) -> int:
        task_id: int = self.session.host.subtask(
            method="createContainer", arglist=[spec.pack()], parent=self.id, arch=spec.arch, label=label
        )
        return task_id


class CreateContainerTask(ContainerTask):
    """One arch of a build."""

    Methods = ["createContainer"]
    _taskWeight = 2.0

    def handler(self, spec: dict[str, Any]) -> dict[str, Any]:
        """Build the image of one arch and push it to staging; both ends of it are ``fedpkg_container.model.build``."""
        wanted = BuildSpec.unpack(spec)
        with self.supervised(f"{wanted.arch}.log") as log:
            site = read_site()
            source = self.checkout(wanted.source, log, site, scratch=wanted.scratch)
            self.checkpoint("fetched again")
            with self.engine(site) as engine:
                build = ArchBuild(
                    spec=wanted,
                    site=site,
                    engine=engine,
                    source=source.folder,
                    koji=self.koji_files,
                    folder=engine.folder,
                    log=log,
                    upload=lambda path, folder: self.session.uploadWrapper(str(path), f"{wanted.upload}/{folder}"),
                    after=self.checkpoint,
                )
                return build.run().pack()
