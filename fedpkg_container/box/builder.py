"""koji's TaskManager, unmodified but for how it reads the processes of the machine.

What a builder does about the errors of one round of its loop: log them, wait a little longer, continue.

A builder of the box: koji's own TaskManager with the builder plugin, and handlers of the box's other tasks.

Its loop is kojid's: an error in one round is logged, and the next round follows. It ends, to be started again by the
supervisor, when the hub no longer accepts its session.
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

from fedpkg_container.box.pki import write_trust
from fedpkg_container.engines import rootless
from fedpkg_container.engines.workspace import Workspaces
from fedpkg_container.hub.session import CONNECTION_ERRORS
from fedpkg_container.image.config import CONFIG_VARIABLE
from fedpkg_container.process import run
from fedpkg_container.text import printable_line

if TYPE_CHECKING:
    from koji.daemon import TaskManager

    from fedpkg_container.box.box import Box

logger = logging.getLogger(__name__)

#: Bytes of a command line that are read: it is only logged.
LONGEST_COMMAND = 4096


class BoxTaskManager(TaskManager):  # type: ignore[misc]
    """A TaskManager that works whatever the processes of the machine are called.

    koji reads ``/proc/PID/stat`` and ``/proc/PID/cmdline`` of every process as UTF-8 when a task ends. One process that
    is called otherwise makes it raise UnicodeDecodeError in every round: it cleans up after no task and takes none.
    """

    def _getStat(self, pid: int) -> list[Any] | None:  # noqa: N802, the name is Koji's
        """The fields of ``/proc/PID/stat`` with the command line as the second one; None when the process is gone.

        As in koji a process without a command line counts as gone: a zombie, a thread of the kernel.
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


#: Seconds until the round after one that failed, at first and at most; it doubles with every further failure.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0
#: Seconds between two log lines about the same error.
REMINDER = 300.0


class Rounds:
    """Keeps a loop running, as kojid's main loop does, and its log short.

    :param pause: seconds to wait before the next round; 0 after one that went well
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
        """Run one round; what it raises is logged.

        :raises koji.AuthError: the session is not accepted any more; another login is needed
        """
        try:
            yield
        except koji.AuthError:
            raise
        except Exception as error:  # noqa: BLE001, as in kojid: no error of one round may end the tasks that run
            self._note(error)
        else:
            if self._failures:
                self._logger.info("works again, after %d failed rounds", self._failures)
            self._failures, self._last, self.pause = 0, "", 0.0

    def _note(self, error: Exception) -> None:
        self._failures += 1
        self.pause = min(self.pause * 2, LONGEST_PAUSE) or FIRST_PAUSE
        place = traceback.extract_tb(error.__traceback__)[-1]
        kind = f"{type(error).__name__} at {place.filename}:{place.lineno}"  # messages hold addresses of objects
        if kind != self._last:
            self._logger.error("this round failed, trying again in %g s", self.pause, exc_info=error)
        elif self._clock() - self._logged >= REMINDER:
            self._logger.error("still failing, %d rounds by now: %s", self._failures, error)
        else:
            return
        self._last, self._logged = kind, self._clock()


#: Seconds between two questions for tasks: a tenth of kojid's, so that one sees at once what happens.
SLEEP = 0.5
#: The same while more is to come soon: a task that has begun asks for others. And for how many seconds that is.
LIVELY_SLEEP, LIVELY = 0.1, 2.0
#: How often a request to the hub is made again, seconds in between, and seconds for one; kojid's names.
RETRIES = {"max_retries": "60", "retry_interval": "2", "timeout": "120"}
#: Seconds for making one repository.
CREATEREPO_TIMEOUT = 600.0


def write_configuration(box: Box, name: str) -> Path:
    """The files of a builder: kojid's settings and the site's; the path of the former."""
    from fedpkg_container.box.layout import CONTENT_GENERATOR

    layout, authority = box.layout, box.authority
    folder = layout.builder(name)
    certificates = folder / "certs"
    for path in (folder, folder / "work"):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_trust(authority, certificates, name)
    site = configparser.ConfigParser(interpolation=None)
    site["registry"] = {
        "candidate": layout.registry_address,
        "certificates": str(certificates),
        "retry_timeout": "20",
        "allowed_hosts": " ".join(layout.registry_hosts),
    }
    site["engine"] = {"state": str(folder / "state")}
    site["limits"] = {"build_timeout": "1800", "build_timeout_max": "3600"}
    site["content_generator"] = {
        "certificate": str(authority.issue(CONTENT_GENERATOR)),
        "server_ca": str(authority.certificate_path),
    }
    site["labels"] = {"vendor": "box"}
    _save(site, folder / "builder_containerbuild.conf")
    kojid = configparser.ConfigParser(interpolation=None)
    kojid["kojid"] = {
        "server": layout.hub_url,
        "topdir": str(layout.topdir),
        "workdir": str(folder / "work"),
        "cert": str(authority.issue(name)),
        "serverca": str(authority.certificate_path),
        "allowed_scms": "127.0.0.1*:/container/*:no 127.0.0.1*:/docker/*:no",
        "ready_file": str(folder / "ready"),
        **RETRIES,
    }
    return _save(kojid, folder / "kojid.conf")


def _save(parser: configparser.ConfigParser, path: Path) -> Path:
    with path.open("w") as file:
        parser.write(file)
    return path


def clean_up(folder: Path) -> None:
    """Remove what killed builds of a builder left."""
    state = folder / "state"
    if state.exists():
        Workspaces(state).clean_up()


class NewRepoTask(BaseTaskHandler):  # type: ignore[misc]
    """The repository of a tag, with createrepo_c: kojid's own handler is not in the koji package."""

    Methods = ["newRepo"]
    _taskWeight = 0.5

    def handler(self, tag: str, event: int | None = None, **options: Any) -> list[Any]:  # noqa: ARG002
        """Make the repository; its id and event."""
        repo_id, event_id = self.session.host.repoInit(tag, task_id=self.id)
        root = Path(koji.pathinfo.repo(repo_id, tag))
        for folder in sorted(path for path in root.iterdir() if path.is_dir()):
            # Packages stay where they are; the hub's link toplink leads there, as in every repository of Koji.
            run(
                ["createrepo_c", "--quiet", "--no-database", "--pkglist", folder / "pkglist", folder],
                timeout=CREATEREPO_TIMEOUT,
            )
        self.session.host.repoDone(repo_id, {})
        return [repo_id, event_id]


class TagBuildTask(BaseTaskHandler):  # type: ignore[misc]
    """A build into a tag: what koji tag-build asks for. kojid's own handler is not in the koji package."""

    Methods = ["tagBuild"]
    _taskWeight = 0.1

    def handler(self, tag: int, build: int, force: bool = False, fromtag: int | None = None) -> None:
        """Tag the build as the owner of the task."""
        self.session.host.tagBuild(self.id, tag, build, force=force, fromtag=fromtag)


def _options(path: Path) -> types.SimpleNamespace:
    """kojid's options, as TaskManager and its handlers read them."""
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


def _log_in(options: types.SimpleNamespace) -> Any:
    retries = {name: int(getattr(options, name)) for name in RETRIES}
    session = koji.ClientSession(
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
    raise SystemExit  # not koji's ServerExit: the client library would take that for a failed call, and retry


def serve(options: types.SimpleNamespace, *, pause_at: str) -> None:
    """Take tasks until SIGTERM.

    :param pause_at: the step of a build after which its process waits as long as a file is there; for tests
    """
    # TaskManager takes nothing while the load is above four times the processors. A box is on somebody's own machine,
    # which is busy with other things too.
    os.getloadavg = lambda: (0.0, 0.0, 0.0)
    session = _log_in(options)
    koji.pathinfo.topdir = options.topdir
    manager = BoxTaskManager(options, session)
    manager.findHandlers({"NewRepoTask": NewRepoTask, "TagBuildTask": TagBuildTask})
    plugin = _plugin()
    manager.scanPlugin(plugin)
    if pause_at:
        plugin.ContainerTask.checkpoint = lambda _, step: _pause(options, step) if step == pause_at else None
    clean_up(Path(options.workdir).parent)
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    Path(options.ready_file).write_text(str(os.getpid()))
    try:
        _take_tasks(manager)
    except SystemExit:
        _shut_down(manager)
    except koji.AuthError as error:
        # The tasks' own sessions are gone as well: their processes end now, and the hub gets them back from the builder
        # that is started next.
        logger.error("the hub no longer accepts the session: %s", error)
        _shut_down(manager)
        raise SystemExit(1) from error


def _shut_down(manager: TaskManager) -> None:
    """End the processes of all tasks and log out; a hub that does not answer does not matter then."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        manager.shutdown()
        manager.session.logout()
    except (*CONNECTION_ERRORS, koji.GenericError) as error:
        logger.warning("the hub was not told that this builder ends: %s", error)


def _take_tasks(manager: TaskManager) -> None:
    """What kojid's main loop does.

    :raises koji.AuthError: the hub no longer accepts the session
    """
    began = 0.0
    rounds = Rounds(logger)
    while True:
        taken = False
        with rounds.one():
            manager.updateBuildroots(nolocal=True)
            manager.updateTasks()
            taken = manager.getNextTask()
        if taken:
            began = time.monotonic()
            continue
        pause = LIVELY_SLEEP if time.monotonic() < began + LIVELY else SLEEP
        rest(manager.pids.values(), max(pause, rounds.pause))


def rest(pids: Iterable[int], seconds: float) -> None:
    """Sleep until the process of a task ends, at most: a task that waits for it is woken at once."""
    with contextlib.ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        for pid in pids:
            with contextlib.suppress(OSError):  # it has been waited for already
                process = os.pidfd_open(pid)
                stack.callback(os.close, process)
                selector.register(process, selectors.EVENT_READ)
        selector.select(seconds)


def _pause(options: types.SimpleNamespace, step: str) -> None:
    mark = Path(options.ready_file).with_name(f"paused-{step}")
    mark.touch()
    while mark.exists():
        time.sleep(0.1)


def main() -> None:
    """Run one builder."""
    parser = argparse.ArgumentParser(description="A builder of a box")
    parser.add_argument("configuration", type=Path)
    parser.add_argument("--pause-at", default="")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s")
    logging.getLogger("koji.TaskManager").setLevel(logging.WARNING)  # it tells every open task twice a second
    os.environ[CONFIG_VARIABLE] = str(arguments.configuration.with_name("builder_containerbuild.conf"))
    rootless.enter()
    serve(_options(arguments.configuration), pause_at=arguments.pause_at)


if __name__ == "__main__":
    main()
