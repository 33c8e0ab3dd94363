# SPDX-License-Identifier: GPL-2.0-or-later
"""The report of a failed build."""

from __future__ import annotations

from fedpkg_container.hub.events import Finished, LogLines, TaskState
from fedpkg_container.model.build import SiteUrls
from fedpkg_container.progress import report
from fedpkg_container.progress.formatting import LogTails

REASON = 'building at STEP "RUN false": while running runtime: exit status 1'


def test_the_reason_is_printed_once() -> None:
    task = TaskState(8, 7, "createContainer", "x86_64", "FAILED", "builder-1")
    fault = f"building the image for x86_64 failed: {REASON}"
    tails = LogTails()
    tails(LogLines(task, "x86_64.log", ("STEP 2/2: RUN false", "Error: other", f"Error: {REASON}", f"failed: {fault}")))
    event = Finished(task, fault=fault, failed=task)
    lines = [*report.failure_lines(event, tails, SiteUrls("", "")), report.failure_reason(event)]
    assert lines[:3] == ["last lines of x86_64.log of task 8:", "    STEP 2/2: RUN false", "    Error: other"]
    assert sum(REASON in line for line in lines) == 1
