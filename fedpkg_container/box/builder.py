# SPDX-License-Identifier: GPL-2.0-or-later
"""A builder of the box: koji's TaskManager with the builder plugin, and handlers of the box's other tasks.

koji's TaskManager is unmodified except for reading the machine's processes. As in kojid, an error in one round is
logged, and the next round follows after a longer pause. If the hub rejects the session, it ends and is restarted.
"""

from __future__ import annotations

import argparse
import configparser
import contextlib
import logging
import os
import selectors
import signal
import time
import traceback
import types
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import koji
import koji.plugin
import koji.tasks
from koji.daemon import TaskManager
from koji.tasks import BaseTaskHandler

from fedpkg_container import logs
from fedpkg_container.box.pki import write_trust
from fedpkg_container.box.wake import clear, waking
from fedpkg_container.engines import rootless
from fedpkg_container.engines.workspace import Workspaces
from fedpkg_container.hub.protocol import HubSession
from fedpkg_container.hub.session import CONNECTION_ERRORS
from fedpkg_container.image.config import CONFIG_VARIABLE
from fedpkg_container.process import run
from fedpkg_container.text import printable_line

if TYPE_CHECKING:
    from koji.daemon import TaskManager

    from fedpkg_container.box.box import Box

_log = logging.getLogger(__name__)

#: Bytes of a command line to read: it is only logged.
LONGEST_COMMAND = 4096


class BoxTaskManager(TaskManager):  # type: ignore[misc]
    """A TaskManager that accepts any process name on the machine.

    When a task ends, koji reads ``/proc/PID/stat`` and ``/proc/PID/cmdline`` of every process as UTF-8. A name that is
    not valid UTF-8 makes every round raise UnicodeDecodeError: it cleans up after no task and accepts none.
    """

    def _getStat(self, pid: int) -> list[Any] | None:  # noqa: N802, the name is Koji's
        """Fields of ``/proc/PID/stat``, with the command line as the second one; None if the process has ended.

        As in koji, a process without a command line counts as ended: a zombie, a kernel thread.
        """
        try:
            head, _, fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")
            with Path(f"/proc/{pid}/cmdline").open("rb") as file:
                command = file.read(LONGEST_COMMAND).replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return None
        command = printable_line(command).strip()
        if not head or not command:
            return None
        return [pid, command, *(int(field) if field.isdigit() else field.decode() for field in fields.split())]


#: Seconds until the round after a failed one: initial and maximum; doubled after each further failure.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0
#: Seconds between two log lines about the same error.
REMINDER = 300.0


class Rounds:
    """Keeps a loop running, as kojid's main loop does, and limits its log.

    :param pause: seconds to wait before the next round; 0 after a successful one
    """

    def __init__(self, logger: logging.Logger, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.pause = 0.0
        self._logger = logger
        self._clock = clock
        self._failures = 0
        self._last = ""
        self._logged = 0.0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Run one round; log its errors.

        :raises koji.AuthError: the session is no longer accepted; a new login is required
        """
        try:
            yield
        except koji.AuthError:
            raise
        except Exception as error:  # noqa: BLE001, as in kojid: an error in one round must not end running tasks
            self._note(error)
        else:
            if self._failures:
                self._logger.info("works again, after %d failed rounds", self._failures)
            self._failures, self._last, self.pause = 0, "", 0.0

    def _note(self, error: Exception) -> None:
        self._failures += 1
        self.pause = min(self.pause * 2, LONGEST_PAUSE) or FIRST_PAUSE
        frame = traceback.extract_tb(error.__traceback__)[-1]
        kind = f"{type(error).__name__} at {frame.filename}:{frame.lineno}"  # messages contain addresses of objects
        if kind != self._last:
            self._logger.error("this round failed, trying again in %g s", self.pause, exc_info=error)
        elif self._clock() - self._logged >= REMINDER:
            self._logger.error("still failing, %d rounds by now: %s", self._failures, error)
        else:
            return
        self._last, self._logged = kind, self._clock()


#: Seconds between two polls for tasks, unless the hub wakes the builder before.
SLEEP = 2.0
#: Number of retries of a hub request, seconds between them, and timeout of one in seconds; kojid's names.
RETRIES = {"max_retries": "60", "retry_interval": "2", "timeout": "120"}
#: Timeout of creating one repository, seconds.
CREATEREPO_TIMEOUT = 600.0


def write_configuration(box: Box, name: str) -> Path:
    """Write kojid's settings and the site's for a builder; return the former's path."""
    from fedpkg_container.box.layout import CONTENT_GENERATOR

    layout, authority = box.layout, box.authority
    directory = layout.builder(name)
    certificates = directory / "certs"
    for path in (directory, directory / "work"):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_trust(authority, certificates, name)
    site = configparser.ConfigParser(interpolation=None)
    site["registry"] = {
        "candidate": layout.registry_address,
        "certificates": str(certificates),
        "retry_timeout": "20",
        "allowed_hosts": " ".join(layout.registry_hosts),
    }
    site["engine"] = {"state": str(directory / "state")}
    site["limits"] = {"build_timeout": "1800", "build_timeout_max": "3600"}
    site["content_generator"] = {
        "certificate": str(authority.issue(CONTENT_GENERATOR)),
        "server_ca": str(authority.certificate_path),
    }
    site["labels"] = {"vendor": "box"}
    if layout.cluster:
        from fedpkg_container.box.cluster.site import builder_settings

        for section, settings in builder_settings(layout.cluster.kubeconfig, certificates).items():
            site[section] = {**(site[section] if site.has_section(section) else {}), **settings}
    _save(site, directory / "builder_containerbuild.conf")
    kojid = configparser.ConfigParser(interpolation=None)
    kojid["kojid"] = {
        "server": layout.hub_url,
        "topdir": str(layout.topdir),
        "workdir": str(directory / "work"),
        "cert": str(authority.issue(name)),
        "serverca": str(authority.certificate_path),
        "allowed_scms": "127.0.0.1*:/container/*:no 127.0.0.1*:/docker/*:no",
        "ready_file": str(directory / "ready"),
        **RETRIES,
    }
    return _save(kojid, directory / "kojid.conf")


def _save(parser: configparser.ConfigParser, path: Path) -> Path:
    with path.open("w") as file:
        parser.write(file)
    return path


def clean_up(directory: Path) -> None:
    """Remove files of a builder's killed builds."""
    state = directory / "state"
    if state.exists():
        Workspaces(state).clean_up()


class NewRepoTask(BaseTaskHandler):  # type: ignore[misc]
    """Runs createrepo_c for a tag: kojid's own handler is not in the koji package."""

    Methods = ["newRepo"]
    _taskWeight = 0.5

    def handler(self, tag: str, event: int | None = None, **options: object) -> list[int]:  # noqa: ARG002
        """Create it; return its ID and event."""
        repo_id, event_id = self.session.host.repoInit(tag, task_id=self.id)
        root = Path(koji.pathinfo.repo(repo_id, tag))
        for directory in sorted(path for path in root.iterdir() if path.is_dir()):
            # Packages are not copied; the hub's link toplink points to them, as in every Koji repository.
            run(
                ["createrepo_c", "--quiet", "--no-database", "--pkglist", directory / "pkglist", directory],
                timeout=CREATEREPO_TIMEOUT,
            )
        self.session.host.repoDone(repo_id, {})
        return [repo_id, event_id]


class TagBuildTask(BaseTaskHandler):  # type: ignore[misc]
    """Tags a build (koji tag-build); kojid's own handler is not in the koji package."""

    Methods = ["tagBuild"]
    _taskWeight = 0.1

    def handler(self, tag: int, build: int, force: bool = False, fromtag: int | None = None) -> None:
        """Tag the build as the owner of the task."""
        self.session.host.tagBuild(self.id, tag, build, force=force, fromtag=fromtag)


def _options(path: Path) -> types.SimpleNamespace:
    """kojid's options, as TaskManager and its handlers expect."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(path)
    settings = dict(parser["kojid"])
    return types.SimpleNamespace(
        **settings,
        mockdir=settings["workdir"],
        topurl=None,
        maxjobs=10,
        minspace=512,
        allowed_scms_use_config=True,
        allowed_scms_use_policy=False,
    )


def _log_in(options: types.SimpleNamespace) -> HubSession:
    retries = {name: int(getattr(options, name)) for name in RETRIES}
    session: HubSession = koji.ClientSession(
        options.server,
        {"serverca": options.serverca, "cert": options.cert, "use_fast_upload": True, "anon_retry": True,
         "offline_retry": True, **retries},
    )  # fmt: skip
    session.ssl_login(options.cert, None, options.serverca)
    session.exclusiveSession(force=True)
    return session


def _plugin() -> Any:
    from fedpkg_container.box.box import PLUGINS

    return koji.plugin.PluginTracker(path=[str(PLUGINS / "builder")]).load("builder_containerbuild")


def _stop(*_: object) -> None:
    raise SystemExit  # not koji's ServerExit: the client library would treat that as a failed call, and retry


def serve(options: types.SimpleNamespace) -> None:
    """Run tasks until SIGTERM."""
    # TaskManager accepts no tasks while the load is above four times the number of processors. A box runs on a
    # workstation, which has other load too.
    os.getloadavg = lambda: (0.0, 0.0, 0.0)
    session = _log_in(options)
    koji.pathinfo.topdir = options.topdir
    manager = BoxTaskManager(options, session)
    manager.findHandlers({"NewRepoTask": NewRepoTask, "TagBuildTask": TagBuildTask})
    manager.scanPlugin(_plugin())
    clean_up(Path(options.workdir).parent)
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    Path(options.ready_file).write_text(str(os.getpid()))
    try:
        with waking(Path(options.ready_file).parent) as woken:
            _take_tasks(manager, woken)
    except SystemExit:
        _shut_down(manager)
    except koji.AuthError as error:
        # The tasks' sessions are invalid too: their processes end now, and the hub gets the tasks back from the next
        # builder that is started.
        _log.error("the hub no longer accepts the session: %s", error)
        _shut_down(manager)
        raise SystemExit(1) from error


def _shut_down(manager: TaskManager) -> None:
    """End the processes of all tasks and log out; ignore a hub that does not respond."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        manager.shutdown()
        manager.session.logout()
    except (*CONNECTION_ERRORS, koji.GenericError) as error:
        _log.warning("the hub was not notified that this builder is stopping: %s", error)


def _take_tasks(manager: TaskManager, woken: int) -> None:
    """Run kojid's main loop.

    :param woken: descriptor that is readable when the hub wakes the builder
    :raises koji.AuthError: the hub no longer accepts the session
    """
    rounds = Rounds(_log)
    while True:
        taken = False
        clear(woken)  # before the poll: later changes wake it again
        with rounds.one():
            manager.updateBuildroots(nolocal=True)
            manager.updateTasks()
            taken = manager.getNextTask()
        if rounds.pause:
            time.sleep(rounds.pause)  # neither the hub nor a task shortens the pause after a failure
        elif not taken:
            rest(manager.pids.values(), woken, SLEEP)


def rest(pids: Iterable[int], woken: int, seconds: float) -> None:
    """Sleep for ``seconds``, or until the hub wakes the builder or a task's process ends."""
    with contextlib.ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        selector.register(woken, selectors.EVENT_READ)
        for pid in pids:
            with contextlib.suppress(OSError):  # already waited for
                process = os.pidfd_open(pid)
                stack.callback(os.close, process)
                selector.register(process, selectors.EVENT_READ)
        selector.select(seconds)


def main() -> None:
    """Run one builder."""
    parser = argparse.ArgumentParser(description="A builder of a box")
    parser.add_argument("configuration", type=Path)
    arguments = parser.parse_args()
    logs.serve()
    logging.getLogger("koji.TaskManager").setLevel(logging.WARNING)  # it logs every open task in each round
    os.environ[CONFIG_VARIABLE] = str(arguments.configuration.with_name("builder_containerbuild.conf"))
    rootless.enter()
    serve(_options(arguments.configuration))


if __name__ == "__main__":
    main()
