"""The order of versions and releases, which is that of RPM."""

from __future__ import annotations

import functools

import rpm

from fedpkg_container.model.build import NVR


def compare(one: NVR, other: NVR) -> int:
    """Above 0 for a build that is newer than another one, below 0 for one that is older; names are not looked at."""
    order: int = rpm.labelCompare(("0", one.version, one.release), ("0", other.version, other.release))
    return order


#: What sorts builds by age: ``max(builds, key=by_age)`` is the newest.
by_age = functools.cmp_to_key(compare)
