# SPDX-License-Identifier: GPL-2.0-or-later
"""The hub that both clients talk to, a checkout, and a builder that is played."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import koji
import koji.xmlrpcplus

from fedpkg_container.box.box import Box
from fedpkg_container.box.layout import ADMIN
from fedpkg_container.box.shell import environment
from fedpkg_container.hub.session import log_out
from fedpkg_container.process import process_ids
from tests.support.box_hub import submitting_box
from tests.support.packager import Packager

#: Seconds within which a task has to appear after its client was started.
TASK_TIMEOUT = 60.0
#: Seconds between two looks for it.
LOOK = 0.1
#: Seconds for what our client does in the background.
BACKGROUND_TIMEOUT = 60.0


@dataclass(frozen=True)
class Stage:
    """A box without registry and builders: its hub and dist-git.

    :param box: whose hub receives the requests
    :param packager: a user with a checkout that can be built
    :param directory: for files of benchmarks
    """

    box: Box
    packager: Packager
    directory: Path

    @property
    def checkout(self) -> Path:
        """Where container-build is typed."""
        return self.packager.checkout

    def user(self, name: str) -> dict[str, str]:
        """The environment of a user of the hub; one for each client, so that the access log distinguishes them."""
        session = self.box.session(ADMIN)
        if session.getUser(name) is None:
            session.createUser(name)
        log_out(session)
        return {**environment(self.box, user=name), "NO_COLOR": "1"}

    def quiet(self) -> None:
        """Wait until what our client left in the background has ended: it refreshes what a TAB offers.

        :raises TimeoutError: it does not end
        """
        deadline = time.monotonic() + BACKGROUND_TIMEOUT
        while any(map(self._is_in_background, process_ids())):
            if time.monotonic() > deadline:
                raise TimeoutError(f"something ran in the background for {BACKGROUND_TIMEOUT:g} s")
            time.sleep(LOOK)

    def _is_in_background(self, pid: int) -> bool:
        try:
            command, variables = (Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ"))
        except OSError:  # it has ended
            return False
        return b"fedpkg_container.completion" in command and str(self.directory).encode() in variables

    @property
    def log_position(self) -> int:
        """How long the access log is."""
        return self.box.layout.access_log.stat().st_size

    def requests(self, user: str, since: int) -> list[str]:
        """The calls that a user made, in order.

        :param since: position in the access log
        """
        with self.box.layout.access_log.open() as log:
            log.seek(since)
            return [line.split()[2] for line in log if line.split()[1] == user]

    def requests_between(self, user: str, begin: float, end: float) -> int:
        """How many requests a user made from one moment to another, in whole seconds since the epoch."""
        stamps = [time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment)) for moment in (begin, end)]
        lines = (line.split()[:2] for line in self.box.layout.access_log.read_text().splitlines())
        return sum(who == user and stamps[0] <= stamp < stamps[1] for stamp, who in lines)

    @cached_property
    def builder(self) -> Builder:
        """The builder that the benchmarks play."""
        return Builder(self.box)


class Builder:
    """A builder that does what the benchmark wants at the moment it wants it; not for several threads."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.session = box.session(box.layout.builders[0])
        self.session.exclusiveSession(force=True)

    def take(self, user: str, *, children: int = 0) -> int:
        """Open the task that a user is about to submit, and as many tasks below it; its id.

        :raises TimeoutError: there is no such task in time
        """
        owner = self.session.getUser(user)["id"]
        wanted = {"owner": owner, "method": "buildContainer", "state": [koji.TASK_STATES["FREE"]]}
        deadline = time.monotonic() + TASK_TIMEOUT
        while not (found := self.session.listTasks(wanted, {"order": "-id", "limit": 1})):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{user} submitted no task within {TASK_TIMEOUT:g} s")
            time.sleep(LOOK)
        task_id = int(found[0]["id"])
        self.session.host.openTask(task_id)
        with self.session.multicall(strict=True) as multicall:
            below = [
                multicall.host.subtask("createContainer", [{}], task_id, label=f"arch-{number}", arch="noarch")
                for number in range(children)
            ]
        with self.session.multicall(strict=True) as multicall:
            for call in below:
                multicall.host.openTask(call.result)
        return task_id

    def log(self, task_id: int) -> Path:
        """A log of a task; it is written where the hub keeps it, so that the writer costs the hub nothing."""
        directory = self.box.layout.topdir / "work" / str(koji.pathinfo.taskrelpath(task_id))
        directory.mkdir(parents=True, exist_ok=True)
        return directory / "container-build.log"

    def close(self, task_id: int) -> float:
        """End a task well; the moment, by the monotonic clock, at which the hub knew it."""
        answer = koji.xmlrpcplus.dumps(({"repositories": [], "koji_builds": []},), methodresponse=1, allow_none=1)
        self.session.host.closeTask(task_id, answer)
        return time.monotonic()


@contextmanager
def stage(directory: Path) -> Iterator[Stage]:
    """A stage in an empty directory, and its servers for as long as it is needed."""
    with submitting_box(directory) as box:
        packager = Packager.make(box, directory)
        packager.commit(packager.dockerfile("RUN true", base="registry.example.com/base:1"))
        yield Stage(box, packager, directory)
