# SPDX-License-Identifier: GPL-2.0-or-later
"""Submitting: HTTP requests and time from start to the task's id."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.running import OURS, RPKG, alternate, timed
from benchmarks.stage import Stage
from benchmarks.table import Row

#: Who is not logged in, in the access log.
ANONYMOUS = "-"
SUBMIT = ("container-build", "--scratch", "--nowait")


def measure(stage: Stage, runs: int) -> Iterator[Row]:
    """Submit scratch builds with both in turn, each logging in with a separate certificate."""
    users = {"submit-rpkg": RPKG, "submit-ours": OURS}
    environments = {user: stage.user(user) for user in users}
    background: dict[str, int] = {}
    counts: dict[str, list[str]] = {}

    def submit(user: str, program: Sequence[str]) -> float:
        before = stage.log_position
        took, _ = timed([*program, *SUBMIT], cwd=stage.checkout, env=environments[user], shows="Created task: ")
        # Whether a session is logged out is a courtesy that comes after the task's id.
        counts[user] = [call for call in stage.requests(user, before) if call != "logout"]
        stage.quiet()
        background[user] = len(stage.requests(ANONYMOUS, before))
        return took

    times = alternate(runs, *(lambda each=each: submit(*each) for each in users.items()), quiet=stage.quiet)
    rpkg, ours = (len(counts[user]) for user in users)
    note = "in the hub's access log, without logging out; each login by Kerberos takes one more: rpkg 3, ours 1"
    yield Row("HTTP requests to submit", rpkg, ours, "requests", note)
    afterwards = "by our client's refresh of what a TAB offers, in the background, without logging in"
    rpkg, ours = (background[user] for user in users)
    yield Row("HTTP requests afterwards", rpkg, ours, "requests", afterwards)
    yield Row("time to submit", times[0], times[1], "s", "--scratch --nowait, start to exit")
