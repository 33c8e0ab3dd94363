# SPDX-License-Identifier: GPL-2.0-or-later
"""The report at the end of a build log: the times of its steps, and the place in the Dockerfile where it failed.

Builders write these lines and clients read them; the output of a RUN step can imitate them, so they are only displayed.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from fedpkg_container.text import printable_line

#: First lines of the two parts.
HEADER = "steps (start, duration in seconds):"
FAILED_AT = "failed at "
#: A line of buildah at the start of a step: number of the stage if there are several, number of the step, instruction.
STEP = re.compile(r"(?:\[(?P<stage>\d{1,4})/\d{1,4}\] )?STEP (?P<number>\d{1,5})/(?P<total>\d{1,5}): (?P<text>.*)")
#: Characters of an instruction in the table.
MAX_TEXT = 80
_TIME = re.compile(r"    (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) +(\d{1,9}\.\d)  ((?:\[\d+/\d+\] )?\d+/\d+) (.*)")
_PLACE = re.compile(r"failed at ([\w.]+):(\d{1,7}):")
_EXCERPT = re.compile(r"    [> ] *\d+ \| ?.*")


@dataclass(frozen=True)
class StepTime:
    """Start and duration of a step.

    :param number: ``2/5``, or ``[1/3] 2/5`` in the first of three stages
    :param instruction: the instruction, abbreviated
    :param started: UTC, e.g. ``2026-11-30T09:14:02Z``
    :param seconds: duration
    """

    number: str
    instruction: str
    started: str
    seconds: float


@dataclass(frozen=True)
class StepReport:
    """The steps of a build of one architecture, and where it failed.

    :param file: name of the Dockerfile; empty if the build did not fail in an instruction, as the next two
    :param line: line number of the instruction, from 1
    :param excerpt: lines of the file, with their numbers; those of the instruction are marked with ``>``
    """

    steps: tuple[StepTime, ...] = ()
    file: str = ""
    line: int = 0
    excerpt: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """File and line; empty if they are unknown."""
        return f"{self.file}:{self.line}" if self.file else ""

    @property
    def slowest(self) -> StepTime | None:
        """The longest step; None if there is none."""
        return max(self.steps, key=lambda step: step.seconds, default=None)

    def lines(self) -> Iterator[str]:
        """Yield the lines of the log."""
        if self.steps:
            yield HEADER
            for step in self.steps:
                yield f"    {step.started} {step.seconds:>8.1f}  {step.number} {step.instruction}"
        if self.file:
            yield f"{FAILED_AT}{self.place}:"
            yield from (f"    {line}" for line in self.excerpt)

    @classmethod
    def parse(cls, lines: Iterable[str]) -> StepReport:
        """Parse the lines of a log; other lines are ignored."""
        report = cls()
        for line in lines:
            if line == HEADER:
                report = cls()
            elif (match := _TIME.fullmatch(line)) and not report.file:
                step = StepTime(match[3], printable_line(match[4]), match[1], float(match[2]))
                report = replace(report, steps=(*report.steps, step))
            elif match := _PLACE.fullmatch(line):
                report = replace(report, file=match[1], line=int(match[2]), excerpt=())
            elif report.file and _EXCERPT.fullmatch(line):
                report = replace(report, excerpt=(*report.excerpt, printable_line(line[4:])))
        return report


def is_part(line: str) -> bool:
    """Whether a line of a log is one of a report."""
    return line == HEADER or any(pattern.fullmatch(line) for pattern in (_TIME, _PLACE, _EXCERPT))


def format_start(seconds: float) -> str:
    """Return the start of a step as in a report.

    :param seconds: since the epoch
    """
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def abbreviate(instruction: str, length: int = MAX_TEXT) -> str:
    """Return an instruction as in a report: on one line, without repeated spaces, cut."""
    text = printable_line(" ".join(instruction.split()))
    return text if len(text) <= length else f"{text[: length - 1]}…"
