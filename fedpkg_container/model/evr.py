# SPDX-License-Identifier: GPL-2.0-or-later
"""Comparing builds by version and release, in RPM's order."""

from __future__ import annotations

import functools

import rpm

from fedpkg_container.model.nvr import NVR


def compare_evr(one: NVR, other: NVR) -> int:
    """Compare the versions and releases of two builds, ignoring names: > 0 if the first is newer, < 0 if older."""
    order: int = rpm.labelCompare(("0", one.version, one.release), ("0", other.version, other.release))
    return order


#: Sort key: ``max(builds, key=by_age)`` is the newest build.
evr_key = functools.cmp_to_key(compare_evr)
