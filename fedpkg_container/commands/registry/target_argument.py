"""The argument that names a target, the same in all commands; and what a TAB offers for arguments."""

from __future__ import annotations

import argparse
from pathlib import Path

from fedpkg_container.completion.values import is_safe
from fedpkg_container.registry.site_file import target_names


def add_target(parser: argparse.ArgumentParser) -> None:
    """Add ``--to``."""
    complete_targets(parser.add_argument("--to", default="stable", metavar="NAME", help="the target (default: stable)"))


def complete_targets(action: argparse.Action) -> None:
    """Have a TAB offer the names of targets."""
    action.completer = _offered  # type: ignore[attr-defined]


def complete_nothing(action: argparse.Action) -> None:
    """Have a TAB offer nothing, rather than files."""
    action.completer = lambda **_: ()  # type: ignore[attr-defined]


def _offered(*, parsed_args: argparse.Namespace, **_: object) -> list[str]:
    """What can stand here: the targets of the file that ``--config`` names on the line, or else of the usual one."""
    named = getattr(parsed_args, "config", None)
    return [each for each in target_names(named if isinstance(named, Path) else None) if is_safe(each)]
