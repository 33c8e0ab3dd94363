# SPDX-License-Identifier: GPL-2.0-or-later
"""A hub in this process, with the calls of a client that submits and follows a build; it can stop responding."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import koji
import koji.xmlrpcplus

from tests.support.scripted_hub import answering

TASK = 4711
USER = {"id": 1, "name": "me"}
_TARGET = {"name": "rawhide-container-candidate", "build_tag": 1, "build_tag_name": "build", "dest_tag": 2,
           "dest_tag_name": "dest"}  # fmt: skip
_HOST = {"id": 1, "name": "builder", "arches": "x86_64", "enabled": True, "last_update_ts": 9e9, "update_ts": 9e9}


def task_info(state: str, **fields: object) -> dict[str, Any]:
    """Return a task as ``getTaskInfo`` does."""
    ended = state in ("CLOSED", "FAILED", "CANCELED")
    return {
        "id": TASK,
        "parent": None,
        "method": "buildContainer",
        "label": None,
        "arch": "noarch",
        "channel_id": 1,
        "host_id": None,
        "state": koji.TASK_STATES[state],
        "create_ts": 1.0,
        "start_ts": None if state == "FREE" else 2.0,
        "completion_ts": 3.0 if ended else None,
        **fields,
    }


@dataclass
class FakeHub:
    """The hub.

    :param answers: call → its result, or a function of its arguments; these replace the default ones
    :param calls: names of the calls so far
    """

    answers: dict[str, Any] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    #: After this call, nothing is answered any more until ``ended`` is set.
    silent_after: str = ""
    ended: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        defaults = {
            "login": {"session-id": 1, "session-key": "key"},
            "logout": None,
            "getLoggedInUser": USER,
            "getBuildTarget": _TARGET,
            "getTag": {"id": 2, "name": "dest", "locked": False},
            "getPackageConfig": {"package_name": "foo-container", "blocked": False},
            "getBuild": None,
            "getNextRelease": "1",
            "getBuildConfig": {"name": "build", "arches": "x86_64"},
            "listHosts": [_HOST],
            "getAverageBuildDuration": None,
            "listTasks": [],
            "buildContainer": TASK,
            "getTaskInfo": task_info("FREE"),
            "getTaskDescendents": {},
            "listTaskOutput": {},
            "getTaskResult": {},
        }
        self.answers = {**defaults, **self.answers}

    def answer(self, body: bytes) -> bytes:
        """Answer a request."""
        parameters, name = koji.xmlrpcplus.loads(body)
        if self.silent_after in self.calls:
            self.calls.append(str(name))
            self.ended.wait(timeout=60)
        if name == "multiCall":
            result: Any = [self._in_multicall(call) for call in parameters[0]]
        else:
            result = self._call(str(name), parameters)
        if isinstance(result, koji.GenericError):
            fault = koji.xmlrpcplus.Fault(result.faultCode, str(result))
            return bytes(koji.xmlrpcplus.dumps(fault, methodresponse=True).encode())
        return bytes(koji.xmlrpcplus.dumps((result,), methodresponse=True, allow_none=True).encode())

    def _in_multicall(self, call: Mapping[str, Any]) -> Any:
        result = self._call(call["methodName"], call["params"])
        if isinstance(result, koji.GenericError):
            return {"faultCode": result.faultCode, "faultString": str(result)}
        return [result]

    def _call(self, name: str, parameters: Any) -> Any:
        self.calls.append(name)
        if name not in self.answers:
            return koji.GenericError(f"Invalid method: {name}")
        answer = self.answers[name]
        arguments, keywords = koji.decode_args(*parameters)
        return answer(*arguments, **keywords) if callable(answer) else answer


@contextmanager
def fake_hub(home: Path, **options: Any) -> Iterator[FakeHub]:
    """Run a hub, and write the profile that the client uses in this home directory."""
    hub = FakeHub(**options)
    with answering(hub.answer) as url:
        write_profile(home, url)
        try:
            yield hub
        finally:
            hub.ended.set()


def write_profile(home: Path, server: str, **options: str) -> None:
    """Write the Koji profile ``koji`` with a login by password, which needs no certificate."""
    (home / ".koji").mkdir(exist_ok=True)
    values = {
        "server": server,
        "authtype": "password",
        "user": "me",
        "password": "x",
        "topdir": "/nonexistent",
        **options,
    }
    lines = "".join(f"{name} = {value}\n" for name, value in values.items())
    (home / ".koji" / "config").write_text(f"[koji]\n{lines}")
