# SPDX-License-Identifier: GPL-2.0-or-later
"""Generate docs/pictures/*.svg from real runs in a temporary box: ``make pictures``."""

from __future__ import annotations

import io
import json
import os
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pexpect
from rich.console import Console
from rich.text import Text

from fedpkg_container.box.demo.__main__ import Demo
from fedpkg_container.box.layout import ADMIN
from fedpkg_container.commands.following_several import titled
from fedpkg_container.hub.events import Finished, LogLines, Submitted
from fedpkg_container.hub.follow import follow
from fedpkg_container.hub.follow_several import follow_several
from fedpkg_container.hub.overview import titles_of_tasks
from fedpkg_container.hub.session import anonymous_session, log_out
from fedpkg_container.model.polling import PollInterval
from fedpkg_container.progress.live import LiveRenderer

PICTURES = Path(__file__).parent / "pictures"
WIDTH = 110
#: Seconds for one command.
TIMEOUT = 300
SLOW = "RUN i=0; while [ $i -lt 12 ]; do i=$((i+1)); echo making page $i of 12; sleep 1; done\n"
BROKEN = "RUN echo checking the page; grep -q welcome /usr/share/hello-web/index.html\n"


class Pictures:
    """A packager's work in a box, and pictures of it."""

    def __init__(self, demo: Demo) -> None:
        self.demo = demo
        self.environment: Mapping[str, str] = {}

    def prepare(self) -> None:
        """Set up a box with a base image, and a checkout."""
        demo = self.demo
        demo.box.up()
        from fedpkg_container.box.shell import environment

        demo.environment = self.environment = environment(demo.box)
        demo.make_repository(demo.make_base())
        demo.shell("rm -rf hello-web && fedpkg clone container/hello-web", cwd=demo.box.layout.home)

    def change(self, *, add: str = "", replace: tuple[str, str] = ("", ""), push: bool = True) -> None:
        """Change the Dockerfile, and commit and push it unless ``push`` is False."""
        path = self.demo.checkout / "Dockerfile"
        text = path.read_text()
        path.write_text((text.replace(*replace) if replace[0] else text) + add)
        if push:
            self.demo.shell("git commit --quiet --all -m 'A change' && git push --quiet")

    def restore(self) -> None:
        """Revert uncommitted changes."""
        self.demo.shell("git checkout --quiet Dockerfile")

    def screen(self, name: str, command: str) -> None:
        """Save a picture of the terminal output of a command."""
        settings = {**self.environment, "TERM": "xterm-256color", "COLUMNS": str(WIDTH)}
        child = pexpect.spawn(
            "sh", ["-c", command], cwd=str(self.demo.checkout), env=settings, dimensions=(50, WIDTH), timeout=TIMEOUT
        )
        child.expect(pexpect.EOF)
        shown = (child.before or b"").decode(errors="replace").replace("\r\n", "\n").rstrip()
        shown = shown.replace(str(self.demo.directory), "/var/tmp")
        console = _console()
        console.print(Text(f"$ {command}", style="bold"))
        console.print(Text.from_ansi(shown))
        _save(console, name, command)

    def live(self, name: str, *, after: str) -> None:
        """Save a picture of the live view of a build, at the moment when a certain log line appears."""
        task_id = self.submit()
        console = _console()
        view = LiveRenderer(io.StringIO(), console=Console(file=io.StringIO(), width=WIDTH, height=24))
        session = anonymous_session("koji")
        average = session.getAverageBuildDuration("hello-web-container")
        view(Submitted(task_id, average=average, title="container/hello-web (scratch)"))
        taken = False
        for event in follow(session, task_id, interval=PollInterval(minimum=0.5)):
            view(event)
            if isinstance(event, LogLines) and not taken and any(after in line for line in event.lines):
                taken = True
                console.print(Text("$ fedpkg container-build --scratch", style="bold"))
                console.print(view.view())
            if isinstance(event, Finished):
                break
        _save(console, name, "fedpkg container-build --scratch")

    def submit(self, options: str = "") -> int:
        """Submit a scratch build and return its task."""
        info = self.demo.directory / "task.json"
        self.demo.shell(f"fedpkg container-build --scratch --nowait -q --task-info {info} {options}")
        return int(json.loads(info.read_text())["task_id"])

    def waiting(self, name: str) -> int:
        """Save a picture of a build that waits because the only builder is disabled; return its task."""
        session = self.demo.box.session(ADMIN)
        builder = self.demo.box.layout.builders[0]
        session.disableHost(builder)
        task_id = self.submit("--skip-check no-builder")
        self.screen(name, f"fedpkg container-status {task_id}")
        session.enableHost(builder)
        log_out(session)
        return task_id

    def several(self, name: str, ids: Sequence[int], *, after: str) -> None:
        """Save a picture of the live view of several builds, at the moment when a certain log line appears."""
        console = _console()
        view = LiveRenderer(io.StringIO(), console=Console(file=io.StringIO(), width=WIDTH, height=24))
        command = f"fedpkg container-status --watch {' '.join(map(str, ids))}"
        titles = titles_of_tasks(anonymous_session("koji"), ids)
        taken = False
        interval = PollInterval(minimum=0.5)
        for task_id, event in follow_several(lambda: anonymous_session("koji"), ids, interval=interval):
            view(titled(event, task_id, titles[task_id]))
            if isinstance(event, LogLines) and not taken and any(after in line for line in event.lines):
                taken = True
                console.print(Text(f"$ {command}", style="bold"))
                console.print(view.view())
        _save(console, name, command)


def _console() -> Console:
    return Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, highlight=False)


def _save(console: Console, name: str, title: str) -> None:
    """Write the picture, without the font URLs that a browser would fetch."""
    picture = console.export_svg(title=title, unique_id=name)
    picture = re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)
    (PICTURES / f"{name}.svg").write_text(picture)


def main() -> None:
    """Make all pictures."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pictures-") as directory:
        pictures = Pictures(Demo(Path(directory), ""))
        try:
            pictures.prepare()
            os.environ["HOME"] = pictures.environment["HOME"]
            _take(pictures)
        finally:
            pictures.demo.box.down()
    print(f"made {', '.join(sorted(path.name for path in PICTURES.glob('*.svg')))}", file=sys.stderr)


def _take(pictures: Pictures) -> None:
    pictures.change(add=SLOW)
    pictures.screen("plain", "fedpkg container-build --progress plain | tail -n 32")
    pictures.live("live", after="page 5 of")
    waiting = pictures.waiting("waiting")
    pictures.several("several", [waiting, pictures.submit()], after="page 5 of")
    pictures.screen("build", "fedpkg container-status hello-web-container-1.0-1")
    pictures.screen("dry-run", "fedpkg container-build --dry-run")
    pictures.change(replace=(SLOW, BROKEN))
    pictures.screen("failure", "fedpkg container-build --scratch --progress quiet")
    pictures.screen("status", "fedpkg container-status")
    pictures.change(
        add="RUNN dnf update\nCOPY page.html /usr/share/\n", replace=("maintainer=", "maintaner="), push=False
    )
    pictures.screen("refusal", "fedpkg container-build")
    pictures.restore()


if __name__ == "__main__":
    main()
