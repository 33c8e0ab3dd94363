# SPDX-License-Identifier: GPL-2.0-or-later
"""The module ``kojihub`` that hub plugins import, with the names that they use."""

from __future__ import annotations

import sys
import types

from fedpkg_container.box.hub import policies
from fedpkg_container.box.hub.calls import builds, listings, packages, tags, tasks, users

_NAMES = {
    "make_task": tasks.make_task,
    "get_user": users.get_user,
    "get_tag": tags.get_tag,
    "get_build": builds.get_build,
    "get_build_target": tags.get_build_target,
    "get_channel": listings.get_channel,
    "get_host": listings.get_host,
    "check_policy": policies.check_policy,
    "readPackageList": packages.list_packages,
}


def install() -> None:
    """Make ``import kojihub`` find this facade, in this process."""
    module = types.ModuleType("kojihub", __doc__)
    vars(module).update(_NAMES)
    sys.modules["kojihub"] = module
