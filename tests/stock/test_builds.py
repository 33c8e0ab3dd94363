# SPDX-License-Identifier: GPL-2.0-or-later
"""The box's own tests of builds, with a stock hub and kojid."""

from __future__ import annotations

from tests.e2e.test_builds import (
    test_full_build_is_recorded,
    test_nowait_returns_while_the_build_continues,
    test_scratch_build_is_pushed_and_not_recorded,
)
from tests.e2e.test_kills import (
    test_a_canceled_build_leaves_nothing_and_frees_its_nvr,
    test_the_hub_is_restarted_during_a_build,
    test_two_builds_of_one_nvr_at_once,
)
from tests.e2e.test_releases import test_isolated_builds_move_no_floating_tags, twice

__all__ = [
    "test_a_canceled_build_leaves_nothing_and_frees_its_nvr",
    "test_full_build_is_recorded",
    "test_isolated_builds_move_no_floating_tags",
    "test_nowait_returns_while_the_build_continues",
    "test_scratch_build_is_pushed_and_not_recorded",
    "test_the_hub_is_restarted_during_a_build",
    "test_two_builds_of_one_nvr_at_once",
    "twice",
]
