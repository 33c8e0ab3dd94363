# SPDX-License-Identifier: GPL-2.0-or-later
"""The box's own tests of ``container-status``, with a stock hub: builds that wait, run, failed or ended, and lists."""

from __future__ import annotations

from tests.e2e.test_status import (
    built,
    test_checkout_with_builds,
    test_failed_build_is_shown_to_its_owner,
    test_lists_of_builds,
    test_running_builds,
    test_task_and_its_logs,
    test_task_that_waits,
)

__all__ = [
    "built",
    "test_checkout_with_builds",
    "test_failed_build_is_shown_to_its_owner",
    "test_lists_of_builds",
    "test_running_builds",
    "test_task_and_its_logs",
    "test_task_that_waits",
]
