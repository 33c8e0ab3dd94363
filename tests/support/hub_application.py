# SPDX-License-Identifier: GPL-2.0-or-later
"""The box's hub in the process of a test, with a packager, a builder, a target, a build and an open task."""

from __future__ import annotations

import base64
import io
import sys
import xmlrpc.client
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import koji
import koji.xmlrpcplus
import pytest

from fedpkg_container.box.box import PLUGINS
from fedpkg_container.box.hub.app import HubApplication
from fedpkg_container.box.hub.database import Database
from fedpkg_container.box.hub.seed import seed

CALLERS = (None, "packager", "builder", "admin")


@dataclass
class Hub:
    """A hub in this process."""

    application: HubApplication
    topdir: Path
    task_id: int = 0
    sessions: dict[str, dict[str, str]] = field(default_factory=dict)
    log: pytest.LogCaptureFixture | None = None

    def request(self, body: bytes, caller: str | None, **environ: Any) -> tuple[str, bytes]:
        answered: list[str] = []
        full = {
            "REQUEST_METHOD": "POST", "CONTENT_TYPE": "text/xml", "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body), **(self.sessions[caller] if caller else {}), **environ,
        }  # fmt: skip
        parts = self.application(full, lambda status, *_: answered.append(status))
        return answered[0], b"".join(parts)

    def call(self, caller: str | None, name: str, *arguments: Any, **environ: Any) -> Any:
        body = koji.xmlrpcplus.dumps(arguments, name, allow_none=True).encode("utf-8")
        status, answer = self.request(body, caller, **environ)
        assert status == "200 OK", answer
        return xmlrpc.client.loads(answer)[0][0]

    def reset(self) -> None:
        """Make new sessions for all callers and open the task again: calls may have ended them."""
        database = self.application.database
        with database.transaction():
            database.execute("DELETE FROM sessions")
            for name in CALLERS[1:]:
                user = database.value("SELECT id FROM users WHERE name = ?", name)
                values = {"user_id": user, "authtype": 2, "hostip": "-", "start_time": 1, "update_time": 1}
                number = database.insert("sessions", key=f"key of {name}", exclusive=int(name == "builder"), **values)
                self.sessions[str(name)] = {
                    "HTTP_KOJI_SESSION_ID": str(number),
                    "HTTP_KOJI_SESSION_KEY": f"key of {name}",
                }
            if self.task_id:
                host = database.value("SELECT id FROM hosts WHERE name = 'builder'")
                opened = {"state": koji.TASK_STATES["OPEN"], "host_id": host, "result": None, "method": "newRepo"}
                database.update("tasks", self.task_id, **opened)


@contextmanager
def hub_application(directory: Path) -> Iterator[Hub]:
    """A hub in a directory."""
    topdir = directory / "topdir"
    topdir.mkdir()
    before, kojihub = koji.pathinfo.topdir, sys.modules.get("kojihub")
    database = Database(directory / "hub.sqlite")
    seed(database, "admin")
    (directory / "builders/builder").mkdir(parents=True)
    plugins = ([PLUGINS / "hub"], ["hub_containerbuild"])
    hub = Hub(HubApplication(database, topdir, *plugins, builders=directory / "builders"), topdir)
    for name in ("packager", "builder"):
        with database.transaction():
            if name == "packager":
                database.insert("users", name=name)
            else:
                user = database.insert("users", name=name, usertype=koji.USERTYPES["HOST"])
                database.insert("hosts", user_id=user, name=name, arches="x86_64")
    hub.reset()
    hub.call("admin", "createTag", "rawhide-build", None, "x86_64")
    hub.call("admin", "createTag", "rawhide-candidate")
    hub.call("admin", "createBuildTarget", "rawhide", "rawhide-build", "rawhide-candidate")
    hub.call("admin", "packageListAdd", "rawhide-candidate", "hello", "packager")
    hub.call("admin", "createEmptyBuild", "hello", "1", "1", None)
    hub.call("admin", "grantCGAccess", "packager", "generator", True)
    hub.call("admin", "addHostToChannel", "builder", "createrepo")
    hub.task_id = hub.call("admin", "newRepo", "rawhide-build")
    hub.call("admin", "assignTask", hub.task_id, "builder")
    hub.call("builder", "host.openTask", hub.task_id)
    task = koji.pathinfo.taskrelpath(hub.task_id)
    hub.call("builder", "uploadFile", task, "a.log", 3, None, 0, base64.b64encode(b"abc").decode())
    try:
        yield hub
    finally:
        koji.pathinfo.topdir = before
        del sys.modules["_koji_plugin__hub_containerbuild"]
        if kojihub is None:
            del sys.modules["kojihub"]
        else:
            sys.modules["kojihub"] = kojihub
