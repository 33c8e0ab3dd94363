# SPDX-License-Identifier: GPL-2.0-or-later
"""Base class of the builder plugin's tasks: checkout, log on the hub, engine, cancellation and cleanup.

It is outside of the plugin's directory, where kojid would load it as a plugin.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

import koji
from koji.daemon import SCM, incremental_upload
from koji.tasks import BaseTaskHandler

from fedpkg_container import logs
from fedpkg_container.engines.buildah import Buildah
from fedpkg_container.engines.workspace import Workspace
from fedpkg_container.errors import BuildFailedError, FedpkgContainerError
from fedpkg_container.hub.call_log import log_calls
from fedpkg_container.hub.cancellation import Cancellation
from fedpkg_container.hub.protocol import HubSession
from fedpkg_container.image.building.limits import disk_guard
from fedpkg_container.image.building.log import BuildLog
from fedpkg_container.image.config import BuilderConfig, read_builder_config
from fedpkg_container.image.engine import builder_workspaces, open_engine
from fedpkg_container.image.resolve.repositories import KojiTopdir
from fedpkg_container.image.resolve.source import Checkout, fetch_checkout
from fedpkg_container.model.koji_types import TaskInfo
from fedpkg_container.model.limits import Deadline
from fedpkg_container.signals import Interrupted, die_with_parent, interruptible

_log = logging.getLogger(__name__)


class ContainerTask(BaseTaskHandler):  # type: ignore[misc]
    """A task that uploads its log while it runs, and cleans up when it ends."""

    # Attributes of Koji's class, which has no type annotations.
    id: int
    session: HubSession
    workdir: str

    def checkHost(self, hostdata: Mapping[str, object]) -> bool:  # noqa: N802, ARG002, the name is Koji's
        """Return whether this builder can build: with an invalid configuration, tasks are left to other builders."""
        try:
            config = read_builder_config()
        except FedpkgContainerError as error:
            _log.error("declining task %s: %s", self.id, error.reason)
            return False
        if config.cluster and find_spec("kubernetes") is None:
            _log.error("declining task %s: the Python package kubernetes is not installed", self.id)
            return False
        return True

    @contextlib.contextmanager
    def supervised(self, log_name: str) -> Iterator[BuildLog]:
        """Run a task: convert errors to Koji's, handle signals, and complete the log on the hub.

        If kojid is killed, its tasks end too: they release what they hold, and free themselves on the hub, so that
        another builder can run them.
        """
        daemon = os.getppid()
        die_with_parent()
        if os.getppid() != daemon:
            raise Interrupted("kojid has died")
        path = Path(self.workdir) / log_name
        log_calls(self.session)
        with logs.subject(f"task {self.id}"), BuildLog(path) as log, path.open("rb") as reader:
            _log.info("%s started", self.method)
            canceled = Cancellation(self.session, self.id)

            def send() -> None:
                canceled.check()
                self._send(log_name, reader)

            log.send = send
            try:
                with interruptible():
                    yield log
            except FedpkgContainerError as error:
                message = "; ".join(filter(None, (error.reason, error.solution)))
                log.append(f"failed: {message}")
                _log.debug("raised here", exc_info=error)
                raise koji.BuildError(message) from error
            except Interrupted:
                if os.getppid() != daemon:
                    log.append("the builder was stopped: the task restarts on another builder")
                    self._send(log_name, reader)
                    self.session.host.freeTasks([self.id])
                raise
            finally:
                with contextlib.suppress(koji.GenericError):  # canceled: the hub accepts no uploads of this task
                    self._send(log_name, reader)

    def _send(self, name: str, reader: BinaryIO) -> None:
        """Upload the new part of a log; a part that cannot be uploaded is sent with the next one."""
        position = reader.tell()
        try:
            incremental_upload(self.session, name, reader, self.getUploadDir(), logger=self.logger)
        except BaseException:
            reader.seek(position)
            raise

    @contextlib.contextmanager
    def engine(self, config: BuilderConfig) -> Iterator[Buildah]:
        """Provide an engine with a separate store, which is removed afterwards."""
        with open_engine(config, f"task-{self.id}") as engine:
            _log.info("RUN is %s", engine.isolation)
            yield engine
            self._prune(engine, config)

    def workspace(self, config: BuilderConfig) -> contextlib.AbstractContextManager[Workspace]:
        """Provide a worker's directory, which is removed afterwards."""
        return builder_workspaces(config).open(f"task-{self.id}")

    def _prune(self, engine: Buildah, config: BuilderConfig) -> None:
        """Remove base images that have not been used for long; failures are left to the next task."""
        try:
            removed = engine.bases.prune(config.base_images_keep)
        except (FedpkgContainerError, OSError) as error:
            _log.warning("cannot remove base images: %s", error)
        else:
            if removed:
                _log.info("removed %d unused base images", len(removed))

    @property
    def koji_topdir(self) -> KojiTopdir:
        """Koji's topdir, from kojid's configuration."""
        return KojiTopdir(Path(self.options.topdir), getattr(self.options, "topurl", None) or "")

    def checkout(
        self,
        url: str,
        log: BuildLog,
        config: BuilderConfig,
        workspace: Workspace,
        *,
        deadline: Deadline,
        scratch: bool,
        build_tag: int | None = None,
    ) -> Checkout:
        """Check that a source URL is allowed, and check out its commit.

        :param deadline: end of all downloads of the task
        """
        scm, callback_data = self.check_source(url, scratch=scratch, build_tag=build_tag)
        tick = disk_guard(workspace.directory, config.limits, log)
        checkout = fetch_checkout(scm, workspace, log.report, tick, deadline=deadline)
        self.run_callbacks("postSCMCheckout", **callback_data, srcdir=str(checkout.path))
        return checkout

    def check_source(self, url: str, *, scratch: bool, build_tag: int | None = None) -> tuple[SCM, dict[str, object]]:
        """Check that a source URL is allowed; return it parsed, and the data of Koji's callbacks.

        :raises BuildFailedError: if it is not a source URL
        """
        if not SCM.is_scm_url(url):
            raise BuildFailedError(f"not a valid source URL: {url}", solution="pass git+https://HOST/PATH#COMMIT")
        scm = SCM(url)
        scm.assert_allowed(
            allowed=self.options.allowed_scms,
            session=self.session,
            by_config=self.options.allowed_scms_use_config,
            by_policy=self.options.allowed_scms_use_policy,
            policy_data={"user_id": self._task["owner"], "channel": self.channel, "scratch": scratch},
        )
        callback_data = {"scminfo": scm.get_info(), "build_tag": build_tag, "scratch": scratch}
        self.run_callbacks("preSCMCheckout", **callback_data)
        return scm, callback_data

    @cached_property
    def _task(self) -> TaskInfo:
        """The task, as the hub describes it."""
        return self.session.getTaskInfo(self.id, strict=True)

    @cached_property
    def channel(self) -> str:
        """Name of the task's channel."""
        return self.session.getChannel(self._task["channel_id"], strict=True)["name"]
