# SPDX-License-Identifier: GPL-2.0-or-later
"""The times of the steps of a build, and the instruction that failed."""

from __future__ import annotations

import itertools

import pytest

from fedpkg_container.distgit.dockerfile import Dockerfile
from fedpkg_container.image.building.step_log import MAX_INSTRUCTION, MAX_STEPS, StepLog
from fedpkg_container.model.step_report import MAX_TEXT, StepReport, StepTime, abbreviate

TEXT = """\
FROM registry.example.org/fedora:42
LABEL version=1
ARG COLOR=red
ENV A=1
# a comment

RUN first && \\
    second

COPY a b
RUN third
"""


def _report(text: str, *output: str, first: tuple[str, ...] = (), failed: bool = True) -> StepReport:
    dockerfile = Dockerfile(text)
    rendered = dockerfile.changed(
        {}, arguments={"SOURCE_DATE_EPOCH": "0", "COLOR": "x"}, first=first, last=["COPY h /"]
    )
    clock = itertools.count(0, 10.0)
    steps = StepLog(dockerfile, rendered, clock=lambda: next(clock))
    for line in output:
        steps.note(line.encode())
    return steps.report(failed=failed)


def test_times_of_steps() -> None:
    report = _report(TEXT, "STEP 1/9: FROM x", "output", "STEP 2/9: ARG  SOURCE_DATE_EPOCH=0", failed=False)
    assert report == StepReport(
        (
            StepTime("1/9", "FROM x", "1970-01-01T00:00:00Z", 10.0),
            StepTime("2/9", "ARG SOURCE_DATE_EPOCH=0", "1970-01-01T00:00:10Z", 10.0),
        )
    )


# The text that buildah reads: FROM, ARG SOURCE_DATE_EPOCH, ARG COLOR, ENV R, LABEL, ARG COLOR, ARG COLOR, ENV A, RUN, …
@pytest.mark.parametrize(
    ("step", "line"),
    [
        ("1/12: FROM registry.example.org/fedora:42", 1),
        ("2/12: ARG SOURCE_DATE_EPOCH=0", 1),
        ("5/13: LABEL version=1", 2),
        ("6/12: ARG COLOR=red", 3),
        ("7/12: ARG COLOR=x", 3),
        ("8/12: ENV A=1", 4),
        ("9/99: RUN first &&     second", 7),
        ("10/12: COPY a b", 10),
        ("11/12: RUN third", 11),
        ("12/12: COPY h /", 11),
        ("2/14: RUN a trigger", 1),
        ("3/14: RUN another trigger", 1),
        ("11/14: RUN first &&     second", 7),
        ("13/14: RUN third", 11),
    ],
)
def test_instruction_of_a_step(step: str, line: int) -> None:
    report = _report(TEXT, f"STEP {step}", first=("ENV R=1",))
    assert (report.file, report.line) == ("Dockerfile", line)


def test_the_second_of_two_equal_instructions() -> None:
    text = "FROM a/b:1\nRUN same\nRUN same\nRUN same\n"
    assert _report(text, "STEP 5/6: RUN same").line == 3


def test_an_added_variable_like_one_of_the_file() -> None:
    assert _report(TEXT, "STEP 9/12: RUN first && second", first=("ENV A=1",)).line == 7


def test_instruction_of_a_stage() -> None:
    text = "ARG V=1\nFROM a/b:1 AS one\nRUN one\nFROM c/d:1\nCOPY --from=one x y\nRUN two\n"
    assert _report(text, "[1/2] STEP 4/4: RUN one").line == 3
    assert _report(text, "[2/2] STEP 5/6: RUN two").line == 6
    assert _report(text, "[2/2] STEP 4/6: COPY").steps[0].number == "[2/2] 4/6"


def test_excerpt() -> None:
    assert _report(TEXT, "STEP 8/11: RUN first && second").excerpt == (
        "   5 | # a comment",
        "   6 |",
        ">  7 | RUN first && \\",
        ">  8 |     second",
        "   9 |",
        "  10 | COPY a b",
    )
    long = "FROM a/b:1\nRUN \\\n" + "  x \\\n" * 50 + "  y\nCMD z\n"
    excerpt = _report(long, "STEP 4/6: RUN " + "x" * 50 + "y").excerpt
    assert len(excerpt) == 1 + MAX_INSTRUCTION + 1
    assert excerpt[-1] == "  54 | CMD z"


@pytest.mark.parametrize("step", ["[7/9] STEP 1/2: FROM a", "nothing"])
def test_unknown_instructions(step: str) -> None:
    report = _report(TEXT, step)
    assert (report.file, report.line, report.excerpt) == ("", 0, ())


def test_short_steps_are_left_out() -> None:
    dockerfile = Dockerfile(TEXT)
    times = iter([0.0, 0.01, 5.0, 5.01])
    steps = StepLog(dockerfile, dockerfile.text, clock=lambda: next(times))
    for line in (b"STEP 1/3: FROM x", b"STEP 2/3: RUN slow", b"STEP 3/3: RUN failed"):
        steps.note(line)
    assert [step.number for step in steps.report(failed=True).steps] == ["2/3", "3/3"]


def test_output_that_looks_like_steps_is_limited() -> None:
    assert len(_report(TEXT, *[f"STEP {n}/9: x" for n in range(3 * MAX_STEPS)]).steps) == MAX_STEPS


def test_a_report_is_read_back() -> None:
    report = _report(TEXT, "STEP 1/11: FROM x", "STEP 8/11: RUN first &&     second")
    assert report.slowest == report.steps[0]
    assert StepReport.parse(["output", *report.lines(), "failed: it failed"]) == report


def test_the_last_report_counts() -> None:
    forged = StepReport((StepTime("1/1", "x", "2026-01-01T00:00:00Z", 1.0),), "Dockerfile", 99, ("> 99 | forged",))
    genuine = _report(TEXT, "STEP 8/11: RUN first && second")
    assert StepReport.parse([*forged.lines(), *genuine.lines()]) == genuine


def test_instructions_are_abbreviated() -> None:
    assert abbreviate("RUN a \t&&  b\x1b") == "RUN a && b\N{REPLACEMENT CHARACTER}"
    assert len(abbreviate("RUN " + "x" * 200)) == MAX_TEXT
