# SPDX-License-Identifier: GPL-2.0-or-later
"""The steps of a running build, as buildah reports them: their times, and their instructions in the Dockerfile."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence

from fedpkg_container.distgit.dockerfile import Dockerfile, Instruction
from fedpkg_container.errors import RefusedError
from fedpkg_container.model.step_report import STEP, StepReport, StepTime, abbreviate, format_start

#: Maximum number of steps to record: RUN can print any number of lines that look like the start of a step.
MAX_STEPS = 1000
#: Minimum duration in seconds of a step that is reported.
SHORTEST = 0.1
#: Lines of the Dockerfile before and after an instruction, and of the instruction itself, in an excerpt.
CONTEXT = 2
MAX_INSTRUCTION = 12


class StepLog:
    """Records the steps of a build.

    :param dockerfile: as in the checkout
    :param rendered: the text that was passed to buildah, which has additional instructions
    :param clock: returns seconds since the epoch
    """

    def __init__(self, dockerfile: Dockerfile, rendered: str, clock: Callable[[], float] = time.time) -> None:
        self._dockerfile = dockerfile
        self._rendered = rendered
        self._clock = clock
        self._starts: list[tuple[re.Match[str], float]] = []

    def note(self, output: bytes) -> None:
        """Record a line of the output if a step starts with it."""
        if b"STEP " in output[:20] and len(self._starts) < MAX_STEPS:
            match = STEP.fullmatch(output[:4096].decode(errors="replace").rstrip("\n"))
            if match:
                self._starts.append((match, self._clock()))

    def report(self, *, failed: bool) -> StepReport:
        """Return the times of the steps, without the shortest ones.

        :param failed: whether the last step failed
        """
        ends = [start for _, start in self._starts[1:]] + [self._clock()]
        times = [
            StepTime(
                f"{match[0].partition('STEP ')[0]}{match['number']}/{match['total']}",
                abbreviate(match["text"]),
                format_start(start),
                max(round(end - start, 1), 0.0),
            )
            for (match, start), end in zip(self._starts, ends)
        ]
        last = times[-1:] if failed else []
        steps = tuple(step for step in times if step.seconds >= SHORTEST or step in last)
        item = self._instruction() if failed else None
        if item is None:
            return StepReport(steps)
        return StepReport(steps, self._dockerfile.file, item.line, self._excerpt(item))

    def _instruction(self) -> Instruction | None:
        """Return the instruction of the last step; for an added one, that before it, and for ONBUILD, the FROM."""
        if not self._starts:
            return None
        match = self._starts[-1][0]
        stage, number = int(match["stage"] or 1) - 1, int(match["number"])
        written = [item for item in self._dockerfile.instructions if item.stage == stage]
        try:
            rendered = [item for item in Dockerfile(self._rendered).instructions if item.stage == stage]
        except RefusedError:
            return None
        if not written or not rendered:
            return None
        position = _position(rendered, number, match["text"])
        index = 0
        for item in rendered[1 : position + 1]:
            following = written[index + 1] if index + 1 < len(written) else None
            if following is not None and _is_rendered(following, item):
                index += 1
        return written[index]

    def _excerpt(self, item: Instruction) -> tuple[str, ...]:
        text = self._dockerfile.text.splitlines()
        following = [other.line for other in self._dockerfile.instructions if other.line > item.line]
        last = min(following, default=len(text) + 1) - 1
        while last > item.line and (not text[last - 1].strip() or text[last - 1].lstrip().startswith("#")):
            last -= 1
        shown = min(last, item.line + MAX_INSTRUCTION - 1)
        numbers = [*range(max(item.line - CONTEXT, 1), shown + 1)]
        numbers += range(last + 1, min(last + CONTEXT, len(text)) + 1)
        width = len(str(numbers[-1]))
        return tuple(
            f"{'>' if item.line <= number <= last else ' '} {number:>{width}} | {_cut(text[number - 1])}".rstrip()
            for number in numbers
        )


#: Instructions whose images are replaced by digests, so that their values differ.
_REWRITTEN = ("COPY", "ADD", "RUN")


def _is_rendered(written: Instruction, rendered: Instruction) -> bool:
    """Whether an instruction that was passed to buildah is one of the file."""
    return written.name == rendered.name and (written.value == rendered.value or written.name in _REWRITTEN)


def _position(rendered: Sequence[Instruction], number: int, text: str) -> int:
    """Return the position of the instruction of a step; 0, that of FROM, for a trigger of the base image (ONBUILD).

    Triggers are executed after FROM, so that the numbers of the following steps are higher.
    """
    name, _, value = text.partition(" ")
    last = min(number, len(rendered)) - 1
    for position in range(last, -1, -1):
        item = rendered[position]
        if item.name == name and (item.documents or _compact(item.value) == _compact(value)):
            return position
    return 0


def _compact(value: str) -> str:
    return "".join(value.split())


def _cut(line: str) -> str:
    return line if len(line) <= 160 else f"{line[:159]}…"
