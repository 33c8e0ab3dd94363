"""koji's TaskManager, unmodified but for how it reads the processes of the machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from koji.daemon import TaskManager

from fedpkg_container.text import printable_line

#: Bytes of a command line that are read: it is only logged.
LONGEST_COMMAND = 4096


class BoxTaskManager(TaskManager):  # type: ignore[misc]
    """A TaskManager that works whatever the processes of the machine are called.

    koji reads ``/proc/PID/stat`` and ``/proc/PID/cmdline`` of every process as UTF-8 when a task ends. One process that
    is called otherwise makes it raise UnicodeDecodeError in every round: it cleans up after no task and takes none.
    """

    def _getStat(self, pid: int) -> list[Any] | None:  # noqa: N802, the name is Koji's
        """The fields of ``/proc/PID/stat`` with the command line as the second one; None when the process is gone.

        As in koji a process without a command line counts as gone: a zombie, a thread of the kernel.
        """
        try:
            head, _, fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")
            with Path(f"/proc/{pid}/cmdline").open("rb") as file:
                command = file.read(LONGEST_COMMAND).replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return None
        command = printable_line(command).strip()
        if not head or not command:
            return None
        return [pid, command, *(int(field) if field.isdigit() else field.decode() for field in fields.split())]
