# SPDX-License-Identifier: GPL-2.0-or-later
"""Why a build failed: the instruction, the last output of its step, the times of the steps, and URLs of the logs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from fedpkg_container.hub.events import Event, Finished, LogLines, TaskState
from fedpkg_container.model.build import SiteUrls
from fedpkg_container.model.step_report import STEP, StepReport, is_part
from fedpkg_container.progress.look import Cell, Page, Row
from fedpkg_container.progress.plain import FAILED
from fedpkg_container.text import format_duration

#: Lines of a step's output that are shown, and lines of a step report that are kept.
LAST_LINES = 20
MAX_REPORT = 2000
#: Steps are listed if they took at least this many seconds, or failed.
LISTED_SECONDS = 1.0
#: Starts of the last lines of a log that repeat the reason of the failure: of buildah, and of builders.
REASONS = ("Error: building at STEP ", FAILED)


#: Indentation of the lines below a heading, in characters.
_DETAILS = 4


class LogTail:
    """The last lines of one log.

    :param lines: output of the last step
    """

    def __init__(self) -> None:
        self.lines: deque[str] = deque(maxlen=LAST_LINES)
        self._report: deque[str] = deque(maxlen=MAX_REPORT)

    def add(self, line: str) -> None:
        """Record a line."""
        if STEP.fullmatch(line):
            self.lines.clear()
        elif is_part(line):
            self._report.append(line)
        else:
            self.lines.append(line)

    @property
    def report(self) -> StepReport:
        """The report of the steps; empty if the log has none."""
        return StepReport.parse(self._report)

    @property
    def output(self) -> tuple[str, ...]:
        """The last lines, without those that only repeat the reason of the failure."""
        lines = [*self.lines]
        while lines and lines[-1].startswith(REASONS):
            lines.pop()
        return tuple(lines)


class LogTails:
    """Collects the last lines of every log."""

    def __init__(self) -> None:
        self._logs: dict[int, dict[str, LogTail]] = {}

    def __call__(self, event: Event) -> None:
        """Record one event."""
        if isinstance(event, LogLines):
            log = self._logs.setdefault(event.task.id, {}).setdefault(event.log, LogTail())
            for line in event.lines[-MAX_REPORT:]:  # earlier ones cannot be among the last
                log.add(line)

    def of(self, task_id: int) -> Mapping[str, LogTail]:
        """Return the last lines of a task's logs by the name of the log."""
        return self._logs.get(task_id, {})


@dataclass(frozen=True)
class Failure:
    """The failure of a build.

    :param task: the task that failed
    :param reason: its error message
    :param output: name of a log → its last lines, without the report
    :param package: name of the build
    :param url: page of the task; empty if unknown
    :param logs: addresses of its logs
    """

    task: TaskState
    reason: str
    report: StepReport = field(default_factory=StepReport)
    output: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    package: str = ""
    url: str = ""
    logs: tuple[str, ...] = ()

    @classmethod
    def of(cls, event: Finished, tails: LogTails, addresses: SiteUrls, package: str = "") -> Failure | None:
        """Return the failure of a build; None if it did not fail."""
        if event.task.state != "FAILED":
            return None
        failed = event.failed or event.task
        logs = tails.of(failed.id)
        urls = (addresses.log(failed.id, name) for name in event.logs)
        return cls(
            failed,
            event.fault,
            report=next((report for log in logs.values() if (report := log.report).steps), StepReport()),
            output={name: log.output for name, log in logs.items() if log.output},
            package=package,
            url=addresses.task(failed.id),
            logs=tuple(url for url in urls if url),
        )

    def fields(self) -> dict[str, Any]:
        """Return the JSON fields."""
        report = self.report
        return {
            "task_id": self.task.id,
            "arch": self.task.label,
            "builder": self.task.host,
            "reason": self.reason,
            "file": report.file or None,
            "line": report.line or None,
            "excerpt": list(report.excerpt),
            "output": {name: list(lines) for name, lines in self.output.items()},
            "steps": [asdict(step) for step in report.steps],
            "url": self.url or None,
            "logs": list(self.logs),
        }

    def lines(self, page: Page, *, shown: bool = False, indent: int = 0) -> list[str]:
        """Return the lines to display before the error message.

        :param page: formats them for a stream
        :param shown: whether the log has been displayed, with the output and the report
        :param indent: of all lines, in characters
        """
        log = [] if shown else [replace(row, indent=row.indent + indent) for row in self._log_rows()]
        facts = [
            ("package", self.package),
            ("builder", self.task.host),
            ("task", self.task.name),
            ("url", self.url),
            *(("log", url) for url in self.logs),
        ]
        rows = [Row((Cell(name, "dim"), Cell(value)), indent=indent) for name, value in facts if value]
        return [*page.lines(log), *page.table(rows)]

    def _log_rows(self) -> Iterator[Row]:
        report = self.report
        for name, lines in self.output.items():
            yield Row((Cell(f"last lines of {name}:", "strong"),))
            yield from (Row((Cell(line),), indent=_DETAILS) for line in lines)
        failed = len(report.steps) - 1 if report.file else None
        listed = [
            (number, step)
            for number, step in enumerate(report.steps)
            if step.seconds >= LISTED_SECONDS or number == failed
        ]
        if listed:
            yield Row((Cell("steps:", "strong"),))
        for number, step in listed:
            notes = ["failed"] if number == failed else []
            notes += ["slowest"] if step == report.slowest and len(report.steps) > 1 else []
            note = Cell(f"({', '.join(notes)})" if notes else "", "bad" if number == failed else "dim")
            took = format_duration(step.seconds) if step.seconds >= 1 else f"{step.seconds:.1f} s"
            cells = (Cell(f"{step.started[11:19]} UTC  {took:>9}"), Cell(f"{step.number} {step.instruction}"), note)
            yield Row(cells, indent=_DETAILS)
        if report.file:
            yield Row((Cell(f"{report.place}:", "strong"),))
        for line in report.excerpt:
            yield Row((Cell(line, "bad" if line.startswith(">") else ""),), indent=_DETAILS)
