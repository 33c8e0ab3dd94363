# SPDX-License-Identifier: GPL-2.0-or-later
"""A builder simulated by a test, which controls the time of each action."""

from __future__ import annotations

import configparser
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import koji
import koji.xmlrpcplus

from tests.support.box_hub import RunningHub

FEDPKG = Path(sys.executable).parent / "fedpkg-container"


def session(hub: RunningHub, certificate: str, *, port: int = 0) -> Any:
    """A logged-in session of koji's client.

    :param port: of a proxy for the hub
    """
    url = f"https://127.0.0.1:{port}/kojihub" if port else hub.url
    made = koji.ClientSession(url, {"serverca": hub.ca, "max_retries": 0, "anon_retry": False, "timeout": 30})
    made.ssl_login(certificate, None, hub.ca)
    return made


@dataclass
class PlayedBuilder:
    """A builder and a packager on a hub without other builders."""

    hub: RunningHub
    directory: Path
    builder: Any = field(init=False)
    packager: Any = field(init=False)

    def __post_init__(self) -> None:
        self.packager = session(self.hub, self.hub.packager)
        self.builder = session(self.hub, self.hub.host)
        self.builder.exclusiveSession(force=True)

    def build(self) -> int:
        """Start a build; return the id of its task."""
        options = {"git_branch": "rawhide", "scratch": True}
        task = int(self.packager.buildContainer("git+https://h/container/hello#1", "target", options))
        self.builder.host.openTask(task)
        return task

    def arch(self, parent: int, arch: str) -> int:
        """Start the task of one architecture."""
        task = int(self.builder.host.subtask("createContainer", [{}], parent, label=arch, arch="noarch"))
        self.builder.host.openTask(task)
        return task

    def log(self, task: int, name: str, content: str | bytes) -> None:
        """Upload a log to the hub, replacing any existing one."""
        path = self.directory / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        self.builder.uploadWrapper(str(path), koji.pathinfo.taskrelpath(task), overwrite=True)

    def close(self, task: int, **result: Any) -> None:
        """Close a task."""
        self.builder.host.closeTask(task, koji.xmlrpcplus.dumps((result,), methodresponse=True, allow_none=True))

    def fail(self, task: int, message: str) -> None:
        """Fail a task."""
        self.builder.host.failTask(task, koji.xmlrpcplus.dumps(koji.xmlrpcplus.Fault(1005, message)))

    def home(self, *, url: str = "", **settings: str) -> dict[str, str]:
        """The environment of a user of this hub.

        :param url: of a proxy for it
        :param settings: of the section for container builds
        """
        home = self.directory / "home"
        profile = configparser.ConfigParser(interpolation=None)
        profile["koji"] = {
            "server": url or self.hub.url,
            "authtype": "ssl",
            "cert": self.hub.packager,
            "serverca": self.hub.ca,
            "weburl": "https://koji.example/koji",
        }
        site = configparser.ConfigParser(interpolation=None)
        site["fedpkg.container-build"] = {"progress_interval": "0.2", "progress_interval_max": "0.5", **settings}
        for path, content in ((home / ".koji" / "config", profile), (home / ".config/rpkg/fedpkg.conf", site)):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w") as file:
                content.write(file)
        return {"HOME": str(home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}

    def start(self, *arguments: str, env: Mapping[str, str] | None = None, **options: Any) -> subprocess.Popen[str]:
        """Start the client, both outputs in one pipe."""
        settings: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, **options}
        return subprocess.Popen([str(FEDPKG), *arguments], env=dict(env or self.home()), cwd=self.directory, **settings)

    def watch(self, task: int, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start ``container-status --watch``."""
        return self.start("container-status", "--watch", str(task), *arguments, **options)
