"""The only place that starts programs.

Programs get a list of arguments (never a shell), a copied environment, no standard input unless it is given,
and a deadline. They are stopped with SIGTERM, so that they can clean up, and with SIGKILL when that does not
help. They die with the process that started them (``setpriv --pdeathsig``), so a killed builder leaves none.
"""

from fedpkg_container.process.background import (
    ProcessStatus,
    background,
    is_running,
    kill_all,
    pipeline,
    process_ids,
    process_status,
    start,
)
from fedpkg_container.process.run import OUTPUT_LIMIT, Argument, Completed, Environment, foreground, run, stop, stream

__all__ = [
    "OUTPUT_LIMIT",
    "Argument",
    "Completed",
    "Environment",
    "ProcessStatus",
    "background",
    "foreground",
    "is_running",
    "kill_all",
    "pipeline",
    "process_ids",
    "process_status",
    "run",
    "start",
    "stop",
    "stream",
]
