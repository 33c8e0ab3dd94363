# SPDX-License-Identifier: GPL-2.0-or-later
"""A packager: a checkout in a box, and the commands run there."""

from __future__ import annotations

import re
import subprocess
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import koji

from fedpkg_container.box.box import Box
from fedpkg_container.box.demo import site
from fedpkg_container.box.layout import ADMIN
from fedpkg_container.box.shell import environment
from fedpkg_container.hub.session import log_out
from tests.support import preloaded

#: Timeout of one command on a busy machine, seconds.
TIMEOUT = 240


@dataclass
class Packager:
    """A user with a checkout of ``container/NAME``, whose package is listed in the destination tag."""

    box: Box
    name: str
    checkout: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def make(cls, box: Box, directory: Path) -> Packager:
        """Make a package with an empty repository; git clones it, as a push from fedpkg's clone starts fedpkg."""
        name = f"hello-{uuid.uuid4().hex[:8]}"
        box.create_repository(f"container/{name}")
        session = box.session(ADMIN)
        session.packageListAdd(site.DEST_TAG, f"{name}-container", owner=ADMIN)
        log_out(session)
        packager = cls(box, name, directory / name, environment(box))
        packager.git("clone", "--quiet", f"{packager.distgit}/container/{name}", cwd=directory)
        return packager

    @property
    def distgit(self) -> str:
        """URL of the dist-git server."""
        return f"https://127.0.0.1:{self.box.layout.ports.distgit}"

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        """Run git in the checkout, where dist-git is the server's directory: half of the time of its HTTPS."""
        instead = ["-c", f"url.{self.box.layout.distgit}.insteadOf={self.distgit}"]
        return self.run("git", *instead, *arguments, cwd=cwd).stdout

    @property
    def base(self) -> str:
        """The base image's pull spec."""
        return f"{self.box.layout.registry_address}/demo-base:1"

    def dockerfile(self, *steps: str, base: str = "", without: str = "", **labels: str) -> str:
        """Return a Dockerfile with these steps.

        :param without: a label to omit
        """
        values = {
            "com.redhat.component": f"{self.name}-container",
            "name": self.name,
            "version": "1.0",
            "maintainer": "tests",
            "summary": "a test",
            "usage": "none",
            **labels,
        }
        lines = [f"FROM {base or self.base}", *(f'LABEL {k}="{v}"' for k, v in values.items() if k != without)]
        lines += ['CMD ["true"]', *steps]
        return "\n".join(lines) + "\n"

    def commit(self, dockerfile: str, *, push: bool = True, files: Mapping[str, str] | None = None) -> str:
        """Commit and push a Dockerfile and other files; return the commit."""
        for name, text in {"Dockerfile": dockerfile, **(files or {})}.items():
            (self.checkout / name).write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "a change")
        if push:
            self.git("push", "--quiet", "--set-upstream", "origin", "HEAD:rawhide")
        return self.git("rev-parse", "HEAD").strip()

    def run(
        self, *command: str, cwd: Path | None = None, check: bool = True, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the checkout."""
        variables = {**self.environment, **(env or {})}
        done = preloaded.run(command, cwd=cwd or self.checkout, env=variables, timeout=TIMEOUT)
        assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def cancel_builds(self) -> None:
        """Cancel the package's unfinished builds."""
        session = self.box.session(ADMIN)
        going_on = [koji.TASK_STATES[name] for name in ("FREE", "OPEN", "ASSIGNED")]
        for task in session.listTasks({"method": "buildContainer", "state": going_on, "decode": True}):
            if f"/container/{self.name}" in str(task["request"][0]):
                session.cancelTask(task["id"])
        log_out(session)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start ``fedpkg container-build``; its outputs are pipes."""
        return subprocess.Popen(
            ["fedpkg", "container-build", *arguments],
            cwd=self.checkout,
            env=dict(self.environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def build(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run ``fedpkg container-build``; allow any result."""
        return self.run("fedpkg", "container-build", *arguments, check=False, **options)


def pull_specs(output: str) -> list[str]:
    """Return the pull specs printed by container-build: by tag, by digest."""
    return re.findall(r"^    (\S+/\S+[:@]\S+)$", output, re.MULTILINE)
