# SPDX-License-Identifier: GPL-2.0-or-later
"""The report of a failed build."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import jsonschema
import pytest

from fedpkg_container.hub.events import Finished, LogLines, TaskChanged, TaskState
from fedpkg_container.model.build import SiteUrls
from fedpkg_container.model.step_report import StepReport, StepTime
from fedpkg_container.progress import report
from fedpkg_container.progress.failure import LAST_LINES, Failure, LogTails
from fedpkg_container.progress.look import Page
from fedpkg_container.progress.plain import PlainRenderer

REPORT = StepReport(
    (
        StepTime("1/3", "FROM x", "2026-11-30T09:14:02Z", 0.1),
        StepTime("2/3", "RUN dnf", "2026-11-30T09:14:03Z", 75.0),
        StepTime("3/3", "RUN make", "2026-11-30T09:15:18Z", 0.3),
    ),
    "Dockerfile",
    7,
    ("  6 | COPY a b", "> 7 | RUN make"),
)
REASON = "building the image for x86_64 failed: Dockerfile:7: RUN make: exit status 2"
LOG = (
    "STEP 2/3: RUN dnf",
    "installed",
    "STEP 3/3: RUN make",
    "make: no targets",
    'Error: building at STEP "RUN make": while running runtime: exit status 2',
    *REPORT.lines(),
    f"failed: {REASON}",
)
SITE = SiteUrls("https://koji.example.org/koji", "https://koji.example.org/files")
SCHEMA = json.loads((Path(__file__).parents[2] / "docs/reference/progress.schema.json").read_text())


def _task(number: int = 8, arch: str = "x86_64", state: str = "FAILED") -> TaskState:
    parent, method = (None, "buildContainer") if number == 7 else (7, "createContainer")
    return TaskState(number, parent, method, arch, state, "builder1", completed=1.0)


def _finished() -> Finished:
    return Finished(_task(7, ""), fault=REASON, failed=_task(), logs=("x86_64.log",))


def _failure(*batches: tuple[str, ...]) -> Failure:
    tails = LogTails()
    for batch in batches:
        tails(LogLines(_task(state="OPEN"), "x86_64.log", batch))
    failure = Failure.of(_finished(), tails, SITE, "hello-1-2")
    assert failure is not None
    return failure


def test_lines_of_a_failure() -> None:
    assert _failure(LOG[:4], LOG[4:]).lines(Page(io.StringIO())) == [
        "last lines of x86_64.log:",
        "    make: no targets",
        "steps:",
        "    09:14:03 UTC  1 min 15 s  2/3 RUN dnf  (slowest)",
        "    09:15:18 UTC      0.3 s  3/3 RUN make  (failed)",
        "Dockerfile:7:",
        "      6 | COPY a b",
        "    > 7 | RUN make",
        "package  hello-1-2",
        "builder  builder1",
        "task     8 createContainer (x86_64)",
        "url      https://koji.example.org/koji/taskinfo?taskID=8",
        "log      https://koji.example.org/files/work/tasks/8/8/x86_64.log",
    ]


def test_failed_step_and_line_stand_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLICOLOR_FORCE", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    colored = [line for line in _failure(LOG).lines(Page(io.StringIO()), indent=2) if "\x1b[1;31m" in line]
    assert [plain.strip() for plain in (re.sub("\x1b\\[[0-9;]*m", "", line) for line in colored)] == [
        "09:15:18 UTC      0.3 s  3/3 RUN make  (failed)",
        "> 7 | RUN make",
    ]


def test_lines_fit_the_terminal() -> None:
    lines = _failure(LOG).lines(Page(io.StringIO(), width=40))
    assert max(len(line) for line in lines if "https://" not in line) <= 40
    assert "3/3 RUN make  (failed)" in [line.strip() for line in lines]


def test_fields_of_a_failure() -> None:
    fields = _failure(LOG).fields()
    jsonschema.validate(fields, {**SCHEMA["definitions"]["failure"], "definitions": SCHEMA["definitions"]})
    event = {"format": 1, "time": 1.0, "event": "finished", **report.result_fields(_finished()), "failure": fields}
    jsonschema.validate(event, SCHEMA)
    assert (fields["file"], fields["line"], fields["output"]) == ("Dockerfile", 7, {"x86_64.log": ["make: no targets"]})


def test_a_log_without_a_report() -> None:
    failure = _failure(tuple(f"line {n}" for n in range(99)))
    assert failure.output == {"x86_64.log": tuple(f"line {n}" for n in range(99 - LAST_LINES, 99))}
    assert failure.fields()["line"] is None


def test_only_the_end_of_a_long_log_is_read() -> None:
    assert _failure(("x",) * 100_000 + LOG).output == {"x86_64.log": ("make: no targets",)}


def test_other_results_have_no_failure() -> None:
    assert Failure.of(Finished(_task(7, "", "CLOSED")), LogTails(), SITE) is None


def _plain(*, arches: tuple[str, ...], state: str = "FAILED") -> tuple[PlainRenderer, str]:
    """Show a build of some architectures, of which the first ends in a state."""
    stream = io.StringIO()
    show = PlainRenderer(stream)
    with show:
        for number, arch in enumerate(arches, 8):
            show(TaskChanged(_task(number, arch, "OPEN")))
        show(LogLines(_task(8, arches[0], "OPEN"), "x86_64.log", LOG[:4]))
        show(LogLines(_task(8, arches[0], "OPEN"), "x86_64.log", LOG[4:]))
        show(LogLines(_task(7, "", "OPEN"), "container-build.log", ("planned", f"failed: {REASON}")))
        show(TaskChanged(_task(8, arches[0], state)))
        show(TaskChanged(_task(7, "", state)))
    return show, stream.getvalue()


def test_no_line_is_shown_twice_with_one_architecture() -> None:
    show, output = _plain(arches=("x86_64",))
    lines = _failure(LOG).lines(Page(io.StringIO()), shown=show.shows_logs)
    shown = [*output.splitlines(), *lines, report.failure_reason(_finished())]
    assert max(shown.count(line) for line in shown) == 1
    assert [line for line in shown if REASON in line] == [report.failure_reason(_finished())]
    assert output.count("> 7 | RUN make") == 1


def test_the_failure_is_shown_again_among_the_logs_of_others() -> None:
    show, output = _plain(arches=("x86_64", "aarch64"))
    assert not show.shows_logs
    assert "x86_64 | make: no targets\n" in output
    assert "planned\n" in output
    assert REASON not in output


def test_a_reason_of_a_task_that_does_not_fail_is_shown() -> None:
    _, output = _plain(arches=("x86_64",), state="CLOSED")
    assert output.count(f"failed: {REASON}\n") == 2


def test_lines_after_a_held_one_are_in_order() -> None:
    stream = io.StringIO()
    with PlainRenderer(stream) as show:
        for line in ("failed: once", "more", "failed: twice"):
            show(LogLines(_task(), "x86_64.log", (line,)))
    assert stream.getvalue() == "failed: once\nmore\nfailed: twice\n"
