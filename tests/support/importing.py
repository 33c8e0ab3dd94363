# SPDX-License-Identifier: GPL-2.0-or-later
"""A hub and a candidate registry without builders, for imports of base images."""

from __future__ import annotations

import configparser
import subprocess
import threading
from pathlib import Path
from typing import Any

import koji

from fedpkg_container import registry_cli
from fedpkg_container.box.box import Box
from fedpkg_container.box.layout import ADMIN, CONTENT_GENERATOR
from fedpkg_container.box.shell import environment
from fedpkg_container.hub.session import log_out
from fedpkg_container.model.koji_images import RecordedImage
from fedpkg_container.model.reference import ImageReference
from tests.support.leftovers import registry_of
from tests.support.step_log import killed_at
from tests.support.waiting import PATIENCE


class Scene:
    """A hub and a candidate registry, without builders; the hub's tagging tasks are done by the test."""

    def __init__(self, box: Box, directory: Path) -> None:
        self.box = box
        self.directory = directory
        self.hub = box.session(ADMIN)
        self.environment = environment(box)
        self.configuration = directory / "registry.conf"
        parser = configparser.ConfigParser(interpolation=None)
        parser["koji"] = {"profile": "koji"}
        parser["candidate"] = {"registry": box.layout.registry_address}
        parser["content_generator"] = {
            "certificate": str(box.credentials(CONTENT_GENERATOR)),
            "server_ca": str(box.authority.certificate_path),
        }
        parser["engine"] = {"state": str(directory / "state")}
        with self.configuration.open("w") as file:
            parser.write(file)

    def run(self, *arguments: str | Path) -> int:
        """Run the command, in this process."""
        parsed = registry_cli.make_parser().parse_args(["--config", str(self.configuration), *map(str, arguments)])
        return registry_cli.run(parsed)

    def killed(self, step: str, *arguments: str | Path) -> int:
        """Run the command in a process that is killed after a step."""
        module = "fedpkg_container.registry_cli"
        command = [*killed_at(step, module), "--config", str(self.configuration), *map(str, arguments)]
        return subprocess.run(command, env=self.environment, timeout=PATIENCE, check=False).returncode

    def build(self, nvr: str) -> Any:
        return self.hub.getBuild(nvr)

    def image(self, nvr: str) -> ImageReference:
        found = RecordedImage.of(self.build(nvr)).by_digest
        assert found
        return found

    def tags(self, name: str = "tests/base") -> dict[str, str]:
        """The user-facing tags of a repository → digest."""
        reference = ImageReference(self.box.layout.registry_address, name)
        with registry_of(self.box).repository(reference) as repository:
            return {
                tag: repository.head(tag) for tag in repository.tags() if not tag.startswith(("sha256-", "import-"))
            }


def do_tagging(box: Box, ended: threading.Event) -> None:
    """Do the tagging tasks, as a builder does."""
    builder = box.session(box.layout.builders[0])
    builder.exclusiveSession(force=True)
    while not ended.wait(0.2):
        for task in builder.listTasks({"method": "tagBuild", "state": [koji.TASK_STATES["FREE"]], "decode": True}):
            builder.host.openTask(task["id"])
            builder.host.tagBuild(task["id"], *task["request"][:2])
            builder.host.closeTask(task["id"], koji.xmlrpcplus.dumps((None,), methodresponse=1, allow_none=1))
    log_out(builder)
