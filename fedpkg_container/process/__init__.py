# SPDX-License-Identifier: GPL-2.0-or-later
"""Starting of programs; no other package does.

Programs are started without a shell, with a copy of the environment, an empty standard input unless one is passed,
and a deadline. They are stopped with SIGTERM, so that they can clean up, and then with SIGKILL. They die with their
parent process (``setpriv --pdeathsig``), so a killed builder leaves none behind.

While signals are ignored for a cleanup, they run in a new session: Ctrl-C and kojid, when it cancels a task, send
signals to the whole process group.
"""

from fedpkg_container.process.background import (
    ProcessStatus,
    is_running,
    kill_all,
    pipeline,
    process_ids,
    process_status,
    run_in_background,
    start,
    start_piped,
)
from fedpkg_container.process.run import OUTPUT_LIMIT, Argument, Completed, Environment, foreground, run, stop, stream

__all__ = [
    "OUTPUT_LIMIT",
    "Argument",
    "Completed",
    "Environment",
    "ProcessStatus",
    "foreground",
    "is_running",
    "kill_all",
    "pipeline",
    "process_ids",
    "process_status",
    "run",
    "run_in_background",
    "start",
    "start_piped",
    "stop",
    "stream",
]
