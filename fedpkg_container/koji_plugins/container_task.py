"""What both tasks of the builder plugin need of Koji: the source, a log on the hub, an engine, and a clean end.

Not in the plugin's folder: whoever loads plugins would load it as one.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import koji
from koji.daemon import SCM, incremental_upload
from koji.tasks import BaseTaskHandler

from fedpkg_container.engines.buildah import Buildah
from fedpkg_container.engines.isolation import choose
from fedpkg_container.engines.workspace import WorkerLimits, Workspace, Workspaces
from fedpkg_container.errors import BuildFailedError, FedpkgContainerError
from fedpkg_container.hub.cancellation import Cancellation
from fedpkg_container.image.building.limits import disk_guard
from fedpkg_container.image.building.log import BuildLog
from fedpkg_container.image.config import BuilderConfig, read_builder_config
from fedpkg_container.image.resolve.repositories import KojiTopdir
from fedpkg_container.image.resolve.source import Checkout, fetch_checkout
from fedpkg_container.signals import Interrupted, die_with_parent, interruptible


class ContainerTask(BaseTaskHandler):  # type: ignore[misc]
    """A task whose log grows on the hub, and whose end leaves nothing behind."""

    def checkHost(self, hostdata: dict[str, Any]) -> bool:  # noqa: N802, ARG002, the name is Koji's
        """Whether this builder can build: a task is left to others where the site's file is wrong."""
        try:
            read_builder_config()
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
                log.append(f"failed: {message}")
                raise koji.BuildError(message) from error
            except Interrupted:
                if os.getppid() != daemon:
                    log.append("the builder was stopped: the task begins again on another one")
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
    def engine(self, config: BuilderConfig) -> Iterator[Buildah]:
        """An engine with a store of its own, which is gone afterwards."""
        workspaces = self._workspaces(config)
        isolation = config.isolation or choose(workspaces)
        with workspaces.open(f"task-{self.id}") as workspace:
            engine = Buildah(
                workspaces,
                workspace,
                isolation=isolation,
                access=config.access,
                denied=config.denied_networks,
                longest_base=config.limits.base_image_size,
            )
            yield engine
            self._prune(engine, config)

    def workspace(self, config: BuilderConfig) -> contextlib.AbstractContextManager[Workspace]:
        """A directory for a worker, which is gone afterwards."""
        return self._workspaces(config).open(f"task-{self.id}")

    @staticmethod
    def _workspaces(config: BuilderConfig) -> Workspaces:
        limits = WorkerLimits(config.limits.memory, config.limits.processes)
        return Workspaces(config.state, account=config.account, limits=limits)

    def _prune(self, engine: Buildah, config: BuilderConfig) -> None:
        """Remove base images that no build has used for long; what cannot be removed now is tried again later."""
        try:
            removed = engine.bases.prune(config.base_images_keep)
        except (FedpkgContainerError, OSError) as error:
            self.logger.warning("base images could not be removed: %s", error)
        else:
            if removed:
                self.logger.info("removed %d base images that were not used any more", len(removed))

    @property
    def koji_topdir(self) -> KojiTopdir:
        """Koji's files, as kojid's configuration says where they are."""
        return KojiTopdir(Path(self.options.topdir), getattr(self.options, "topurl", None) or "")

    def checkout(
        self,
        url: str,
        log: BuildLog,
        config: BuilderConfig,
        workspace: Workspace,
        *,
        scratch: bool,
        build_tag: Any = None,
    ) -> Checkout:
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
        source = fetch_checkout(scm, workspace, log.report, disk_guard(workspace.folder, config.limits, log))
        self.run_callbacks("postSCMCheckout", **facts, srcdir=str(source.path))
        return source
