# SPDX-License-Identifier: GPL-2.0-or-later
"""Container builds as requested: ``buildContainer`` tasks with their arguments and their task trees."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from fedpkg_container.hub.events import TaskState
from fedpkg_container.hub.tasks import fault_of, task_state
from fedpkg_container.hub.waiting import Waiting
from fedpkg_container.model.koji_types import HostInfo, TaskInfo, TaskTree
from fedpkg_container.model.options import repository_path
from fedpkg_container.text import printable_line, strip_credentials

#: Method of the task of a container build.
METHOD = "buildContainer"
#: The failed instruction in an error message of buildah, the start of the message of an instruction that failed, and a
#: line of the Dockerfile in a message.
_STEP = re.compile(r'at STEP "(?P<instruction>.*)"(?:: |$)')
_BUILDING = "building the image for "
_LINE = re.compile(r"\b(?:Dockerfile|Containerfile):(?P<line>[0-9]{1,9}): (?P<instruction>[A-Z]+\b.*)?")


@dataclass(frozen=True)
class FailedStep:
    """The instruction of a Dockerfile that failed.

    :param line: its line in the Dockerfile, from 1; None if the message does not name it
    :param instruction: its text; empty if the message does not contain it
    """

    line: int | None
    instruction: str

    @property
    def text(self) -> str:
        """Line and instruction, for display."""
        return ": ".join(filter(None, (f"Dockerfile:{self.line}" if self.line else "", self.instruction)))


def failed_step(fault: str) -> FailedStep | None:
    """Return the instruction named in the error message of a build; None if it names none."""
    step, line = _STEP.search(fault), _LINE.search(fault)
    if step:
        return FailedStep(int(line["line"]) if line else None, printable_line(step["instruction"]))
    if line:
        instruction = (line["instruction"] or "") if fault.startswith(_BUILDING) else ""
        return FailedStep(int(line["line"]), printable_line(instruction.rpartition(": ")[0] or instruction))
    return None


@dataclass(frozen=True)
class RequestedBuild:
    """A running or finished ``buildContainer`` task with its descendants; the root task comes first.

    It also represents other tasks, of which only the tasks and the owner are known.

    :param source: source URL with the commit; empty if unknown
    :param options: options that are set, without those that are fields of this class
    :param fault: error message, one sentence, if the task failed
    :param waiting: tasks that wait, with the reasons
    :param nvr: NVR of the build that the hub has recorded for it; empty if there is none or it is unknown
    """

    source: str
    target: str
    branch: str
    scratch: bool
    owner: str
    tasks: tuple[TaskState, ...]
    isolated: bool = False
    options: Mapping[str, object] = field(default_factory=dict)
    fault: str = ""
    waiting: tuple[Waiting, ...] = ()
    nvr: str = ""

    @property
    def root(self) -> TaskState:
        """The ``buildContainer`` task."""
        return self.tasks[0]

    @property
    def commit(self) -> str:
        """The dist-git commit; empty if unknown."""
        return self.source.rpartition("#")[2] if "#" in self.source else ""

    @property
    def repository(self) -> str:
        """Path of the dist-git repository, e.g. ``container/hello``."""
        return repository_of(self.source)

    @property
    def title(self) -> str:
        """Short name that distinguishes the build from others; for other tasks, the method."""
        branch = f" {self.branch}" if self.branch else ""
        return f"{self.repository}{branch}{' (scratch)' if self.scratch else ''}" if self.source else self.root.method

    @property
    def step(self) -> FailedStep | None:
        """The instruction that failed, if the error message names it."""
        return failed_step(self.fault)

    @property
    def kind(self) -> str:
        """Kind of the build, for display; for other tasks, the method."""
        if not self.source:
            return self.root.method
        return "scratch build" if self.scratch else "isolated build" if self.isolated else "build"


def repository_of(source: str) -> str:
    """Return the path of the repository in a source URL; empty if the URL is invalid or has none."""
    try:
        return repository_path(source.partition("?")[0])
    except ValueError:
        return ""


def branch_of(task: TaskInfo | None) -> str:
    """Return the branch in the request of a container build task; empty if there is none."""
    return str(_options(task).get("git_branch") or "")


def source_of(task: TaskInfo | None) -> str:
    """Return the source URL in the request of a container build task; empty if there is none."""
    return _argument(task, 0)


def target_of(task: TaskInfo | None) -> str:
    """Return the build target in the request of a container build task; empty if there is none."""
    return _argument(task, 1)


def is_of(task: TaskInfo | None, repository: str) -> bool:
    """Return whether a task builds a dist-git repository.

    :param repository: its path, e.g. ``container/hello``, or the last component of the path
    """
    path = repository_of(source_of(task))
    return f"/{path}".endswith(f"/{repository}")


def requested_build(task: TaskInfo, tree: TaskTree, hosts: Mapping[int, str], *, owner: str = "") -> RequestedBuild:
    """Parse a container build task with its request.

    :param tree: result of ``getTaskDescendents``; empty to omit the descendants
    :param hosts: names of hosts by ID
    :param owner: name of the user, if the task does not contain it (``getTaskInfo``)
    """
    options = _options(task)
    named = {"git_branch", "scratch", "isolated"}
    return RequestedBuild(
        source=strip_credentials(printable_line(source_of(task))),
        target=printable_line(target_of(task)),
        branch=printable_line(branch_of(task)),
        scratch=bool(options.get("scratch")),
        owner=printable_line(str(task.get("owner_name") or owner)),
        tasks=task_states(task, tree, hosts),
        isolated=bool(options.get("isolated")),
        options={
            printable_line(str(name)): value
            for name, value in options.items()
            if name not in named and value is not None
        },
        fault=fault_of(task.get("result")),
    )


def title_of(task: TaskInfo) -> str:
    """Return the title of the build of a task, read with its request; for other tasks, the method."""
    return requested_build(task, {}, {}).title if task["method"] == METHOD else printable_line(task["method"])


def task_states(task: TaskInfo, tree: TaskTree, hosts: Mapping[int, str]) -> tuple[TaskState, ...]:
    """Return the tasks of a tree, the root first, then by ID."""
    children = {info["id"]: info for group in tree.values() for info in group if info["id"] != task["id"]}
    infos = [task, *(children[number] for number in sorted(children))]
    return tuple(task_state(info, hosts.get(info["host_id"] or 0, "")) for info in infos)


def host_names(hosts: Iterable[HostInfo]) -> dict[int, str]:
    """Return the names of hosts by ID."""
    return {host["id"]: printable_line(host["name"]) for host in hosts}


def request_of(task: TaskInfo | None) -> Sequence[object]:
    """Return the arguments of a task; empty if they were not requested."""
    request = task.get("request") if isinstance(task, Mapping) else None
    return request if isinstance(request, (list, tuple)) else ()


def _argument(task: TaskInfo | None, number: int) -> str:
    request = request_of(task)
    return str(request[number] or "") if len(request) > number else ""


def _options(task: TaskInfo | None) -> Mapping[str, object]:
    request = request_of(task)
    options = request[2] if len(request) > 2 else None
    return options if isinstance(options, Mapping) else {}
