"""Where a person finds a task and its logs with a browser."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True)
class Addresses:
    """A site's web addresses.

    :param web: of Koji's web pages (``weburl`` of a koji profile); empty where there are none
    :param files: of Koji's files (``topurl``); empty where they are not served
    """

    web: str = ""
    files: str = ""

    def task(self, task_id: int) -> str:
        """A task's page; empty when it has none."""
        return f"{self.web}/taskinfo?taskID={task_id}" if self.web else ""

    def log(self, task_id: int, name: str) -> str:
        """A log of a task, where koji's ``pathinfo.task`` puts it; empty when it is not served."""
        if self.files:
            return f"{self.files}/work/tasks/{task_id % 10000}/{task_id}/{quote(name)}"
        return f"{self.web}/getfile?taskID={task_id}&name={quote(name)}" if self.web else ""
