# SPDX-License-Identifier: GPL-2.0-or-later
"""The hub's calls by subject; importing a module registers its calls."""

from __future__ import annotations

import importlib

_SUBJECTS = (
    "builds",
    "canceling",
    "cg_import",
    "channels",
    "cloning",
    "external_repos",
    "hosts",
    "inheritance",
    "introspection",
    "latest",
    "listings",
    "packages",
    "permissions",
    "repos",
    "rpms",
    "tagging",
    "tags",
    "task_output",
    "tasks",
    "users",
)


def load() -> None:
    """Register all calls."""
    for subject in _SUBJECTS:
        importlib.import_module(f"{__name__}.{subject}")
