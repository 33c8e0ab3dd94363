"""The box's own tests of builds, with a stock hub and kojid."""

from __future__ import annotations

from tests.e2e.test_builds import (
    test_a_full_build_is_recorded_with_everything,
    test_a_scratch_build_is_pushed_and_recorded_nowhere,
    test_every_tag_of_a_build_is_the_same_image,
    test_nowait_ends_at_once_and_the_build_goes_on,
    test_the_next_build_gets_the_next_release,
)
from tests.e2e.test_kills import (
    test_a_canceled_build_leaves_nothing_and_frees_its_nvr,
    test_the_hub_is_restarted_during_a_build,
    test_two_builds_of_one_nvr_at_once,
)
from tests.e2e.test_wrong_input import (
    test_failed_release_can_be_built_again,
    test_failing_run,
)

__all__ = [
    "test_a_canceled_build_leaves_nothing_and_frees_its_nvr",
    "test_a_full_build_is_recorded_with_everything",
    "test_a_scratch_build_is_pushed_and_recorded_nowhere",
    "test_every_tag_of_a_build_is_the_same_image",
    "test_failed_release_can_be_built_again",
    "test_failing_run",
    "test_nowait_ends_at_once_and_the_build_goes_on",
    "test_the_hub_is_restarted_during_a_build",
    "test_the_next_build_gets_the_next_release",
    "test_two_builds_of_one_nvr_at_once",
]
