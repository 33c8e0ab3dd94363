"""The hub's calls, one subject a module; importing a module registers its calls."""

from __future__ import annotations

import importlib

_SUBJECTS = (
    "archives",
    "builds",
    "canceling",
    "cg_import",
    "content_generator",
    "external",
    "groups",
    "hosts",
    "inventory",
    "output",
    "packages",
    "repos",
    "rpms",
    "sessions",
    "tagging",
    "tags",
    "targets",
    "task_lists",
    "tasks",
    "users",
)


def load() -> None:
    """Register every call."""
    for subject in _SUBJECTS:
        importlib.import_module(f"{__name__}.{subject}")
