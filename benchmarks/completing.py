# SPDX-License-Identifier: GPL-2.0-or-later
"""A TAB: the time that argcomplete's protocol takes, as bash speaks it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence

from benchmarks.running import OURS, RPKG, UnexpectedEndError, alternate, timed
from benchmarks.stage import Stage
from benchmarks.table import Row

#: What is on the command line → what a TAB must offer there.
LINES = {"container-build --": "--scratch", "cont": "container-build"}


def measure(stage: Stage, runs: int) -> Iterator[Row]:
    """Time TABs after options and commands, and the first one of all, when nothing is cached."""
    env = stage.user("completion")
    caches = stage.directory / "completion-cache"

    def tab(program: Sequence[str], line: str, *, cold: bool = False) -> float:
        if cold:
            shutil.rmtree(caches, ignore_errors=True)
        typed = f"fedpkg {line}"
        variables = {
            **env,
            "XDG_CACHE_HOME": str(caches),
            "_ARGCOMPLETE": "1",
            "_ARGCOMPLETE_IFS": "\013",
            "_ARGCOMPLETE_SHELL": "bash",
            "_ARGCOMPLETE_SUPPRESS_SPACE": "1",
            "_ARGCOMPLETE_COMP_WORDBREAKS": " \t\n\"'><=;|&(:",
            "COMP_TYPE": "9",
            "COMP_LINE": typed,
            "COMP_POINT": str(len(typed)),
        }
        # The answer comes on descriptor 8; register-python-argcomplete starts programs just so.
        shell = ("/bin/sh", "-c", 'exec "$0" "$@" 8>&1 9>/dev/null 1>/dev/null 2>&1')
        took, offered = timed([*shell, *program], cwd=stage.checkout, env=variables)
        if LINES[line] not in [each.strip() for each in offered.split("\013")]:
            raise UnexpectedEndError(f"a TAB after {typed!r} does not offer {LINES[line]}: {offered!r}")
        return took

    def both(line: str, *, cold: bool = False) -> tuple[Callable[[], float], Callable[[], float]]:
        return (lambda: tab(RPKG, line)), (lambda: tab(OURS, line, cold=cold))

    for line in LINES:
        tab(OURS, line)
        rpkg, ours = alternate(runs, *both(line), quiet=stage.quiet)
        yield Row(f"TAB after 'fedpkg {line}'", rpkg, ours, "s", "warm")
    first = next(iter(LINES))
    rpkg, ours = alternate(max(runs // 3, 1), *both(first, cold=True), quiet=stage.quiet)
    yield Row(f"TAB after 'fedpkg {first}', first", rpkg, ours, "s", "cold: our cache is empty; rpkg has none")
