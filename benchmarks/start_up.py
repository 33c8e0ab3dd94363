# SPDX-License-Identifier: GPL-2.0-or-later
"""Start-up: what is waited for before anything happens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.running import OURS, RPKG, alternate, timed
from benchmarks.stage import Stage
from benchmarks.table import Row

HELP = ("container-build", "--help")
OFFLINE = ("container-build", "--scratch", "--dry-run", "--offline")


def measure(stage: Stage, runs: int) -> Iterator[Row]:
    """Time help, usage errors, and checks on files alone."""
    env = stage.user("start-up")

    def pair(theirs: Sequence[str], ours: Sequence[str], status: int, shows: str = "") -> list[float]:
        return alternate(
            runs,
            lambda: timed([*RPKG, *theirs], cwd=stage.checkout, env=env, status=status, shows=shows)[0],
            lambda: timed([*OURS, *ours], cwd=stage.checkout, env=env, status=status, shows=shows)[0],
            quiet=stage.quiet,
        )

    rpkg, ours = pair(HELP, HELP, 0, "--scratch")
    yield Row("start-up: container-build --help", rpkg, ours, "s")
    rpkg, ours = pair(("container-build", "--wrong"), ("container-build", "--wrong"), 2, "--wrong")
    yield Row("usage error: container-build --wrong", rpkg, ours, "s")
    rpkg, offline = alternate(
        runs,
        lambda: timed([*RPKG, *HELP], cwd=stage.checkout, env=env)[0],
        lambda: timed([*OURS, *OFFLINE], cwd=stage.checkout, env=env, shows="would submit")[0],
        quiet=stage.quiet,
    )
    yield Row("--dry-run --offline", rpkg, offline, "s", "rpkg has no such thing: its --help instead")
