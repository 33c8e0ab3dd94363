"""The box's own tests of builds, with a stock hub and kojid."""

from __future__ import annotations

from tests.e2e.test_builds import (
    test_a_full_build_is_recorded_with_everything,
    test_a_scratch_build_is_pushed_and_recorded_nowhere,
    test_every_tag_of_a_build_is_the_same_image,
    test_nowait_ends_at_once_and_the_build_goes_on,
    test_the_next_build_gets_the_next_release,
)

__all__ = [
    "test_a_full_build_is_recorded_with_everything",
    "test_a_scratch_build_is_pushed_and_recorded_nowhere",
    "test_every_tag_of_a_build_is_the_same_image",
    "test_nowait_ends_at_once_and_the_build_goes_on",
    "test_the_next_build_gets_the_next_release",
]
