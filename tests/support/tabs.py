"""Pressing TAB without a shell: the program as a shell's completion calls it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

#: Seconds; the first TAB loads the whole client.
TIMEOUT = 240
#: Writes the names of all loaded modules where MODULES says, at the very end of answering.
_REPORT = """
import sys
sys.path[0] = "/usr/bin"  # as for an installed program, not the folder where it is called
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
    """The environment of somebody new, with this interpreter's programs first, and with a hub that is not there."""
    koji = home / ".koji" / "config"
    koji.parent.mkdir(parents=True, exist_ok=True)
    koji.write_text("[koji]\nserver = http://127.0.0.1:9/kojihub\n")  # nothing listens on the port of discard
    kept = {name: os.environ[name] for name in ("LANG", "TMPDIR", "PYTHONDONTWRITEBYTECODE") if name in os.environ}
    programs = str(Path(sys.executable).parent)
    return {**kept, "HOME": str(home), "PATH": f"{programs}:/usr/bin:/bin", "XDG_CACHE_HOME": str(home / "cache")}


def completing(line: str, answer: Path) -> dict[str, str]:
    """What a shell tells a program of a TAB at the end of a line.

    :param answer: where the program is to write what it offers
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
    """What a program has offered."""
    text = answer.read_text() if answer.exists() else ""
    return text.split("\x0b") if text else []


def tab(line: str, environment: Mapping[str, str], folder: Path) -> tuple[list[str], set[str]]:
    """What a TAB at the end of a line offers, and the modules that were loaded for it."""
    answer, modules = folder / ".answer", folder / ".modules"
    answer.unlink(missing_ok=True)
    modules.unlink(missing_ok=True)
    subprocess.run(
        [sys.executable, "-c", _REPORT],
        env={**environment, **completing(line, answer), "MODULES": str(modules)},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        timeout=TIMEOUT,
        check=False,
    )
    return offered(answer), set(modules.read_text().split("\n"))
