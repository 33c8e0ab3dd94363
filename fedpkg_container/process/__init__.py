"""The only place that starts programs.

Programs get a list of arguments (never a shell), a copied environment, no standard input unless it is given,
and a deadline. They are stopped with SIGTERM, so that they can clean up, and with SIGKILL when that does not
help. They die with the process that started them (``setpriv --pdeathsig``), so a killed builder leaves none.
"""

from fedpkg_container.process.beside import background, piped, start
from fedpkg_container.process.pids import ProcessStatus, is_running, kill_all, process_status, processes
from fedpkg_container.process.starting import Argument, Environment, stop
from fedpkg_container.process.waiting import OUTPUT_LIMIT, Completed, foreground, run, stream

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
    "piped",
    "process_status",
    "processes",
    "run",
    "start",
    "stop",
    "stream",
]
