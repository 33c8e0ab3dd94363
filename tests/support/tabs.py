# SPDX-License-Identifier: GPL-2.0-or-later
"""Completion without a shell: the program called as by a shell's completion."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from fedpkg_container.activation import client_program, create_link

#: Timeout, s; the first TAB loads the whole client.
TIMEOUT = 240
#: Writes the names of all loaded modules to the file in MODULES, at exit.
_REPORT = """
import sys
sys.path[0] = "/usr/bin"  # as for an installed program, not the directory where it is called
import os
def leave(status, leave=os._exit):
    open(os.environ["MODULES"], "w").write("\\n".join(sys.modules))
    leave(status)
os._exit = leave
sys.argv = ["/usr/bin/fedpkg"]
from fedpkg_container.cli import main
main()
"""


def clean_environment(home: Path) -> dict[str, str]:
    """The environment of a new user, with this interpreter's programs first, and an unreachable hub."""
    koji = home / ".koji" / "config"
    koji.parent.mkdir(parents=True, exist_ok=True)
    koji.write_text("[koji]\nserver = http://127.0.0.1:9/kojihub\n")  # the discard port is closed
    kept = {name: os.environ[name] for name in ("LANG", "TMPDIR", "PYTHONDONTWRITEBYTECODE") if name in os.environ}
    create_link(home / "bin", "fedpkg", client_program("fedpkg"))
    programs = f"{home / 'bin'}:{Path(sys.executable).parent}"
    return {**kept, "HOME": str(home), "PATH": f"{programs}:/usr/bin:/bin", "XDG_CACHE_HOME": str(home / "cache")}


def completing(line: str, answer: Path) -> dict[str, str]:
    """Variables that a shell passes to a program for a TAB at the end of a line.

    :param answer: output file for the completions
    """
    return {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_SHELL": "bash",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "_ARGCOMPLETE_SUPPRESS_SPACE": "1",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line.encode())),
    }


def offered(answer: Path) -> list[str]:
    """Return a program's completions."""
    text = answer.read_text() if answer.exists() else ""
    return text.split("\x0b") if text else []


def tab(line: str, environment: Mapping[str, str], directory: Path) -> tuple[list[str], set[str]]:
    """Return the completions for a TAB at the end of a line, and the modules loaded for it."""
    answer, modules = directory / ".answer", directory / ".modules"
    answer.unlink(missing_ok=True)
    modules.unlink(missing_ok=True)
    subprocess.run(
        [sys.executable, "-c", _REPORT],
        env={**environment, **completing(line, answer), "MODULES": str(modules)},
        cwd=directory,
        stdin=subprocess.DEVNULL,
        timeout=TIMEOUT,
        check=False,
    )
    return offered(answer), set(modules.read_text().split("\n"))
