"""Whether a builder can execute what a Dockerfile runs: found out before anything is pulled."""

from __future__ import annotations

import platform
from pathlib import Path

from fedpkg_container.distgit.dockerfile import FILE, Dockerfile
from fedpkg_container.engines import machine
from fedpkg_container.errors import BuildFailedError
from fedpkg_container.model.platforms import go_arch


def check_runnable(dockerfile: Dockerfile, arch: str, folder: Path) -> None:
    """Refuse RUN for an arch that this machine does not execute; what only copies files is built anywhere.

    :param arch: Koji's name
    :param folder: where a program may be written for a trial
    :raises BuildFailedError: it names the line and the arch
    """
    lines = dockerfile.run_lines
    if not lines or machine.executes(go_arch(arch), folder):
        return
    raise BuildFailedError(
        f"{FILE}:{lines[0]}: RUN cannot be executed for {arch} here: this machine is {platform.machine()}, and no"
        f" handler for {arch} is registered with it",
        solution=f"do without RUN, or build on a machine that executes {arch} (or emulates it: see docs/site.md)",
    )
