# SPDX-License-Identifier: GPL-2.0-or-later
"""Selection of the renderer."""

from __future__ import annotations

from typing import TextIO

from fedpkg_container.progress.formatting import is_terminal
from fedpkg_container.progress.plain import Renderer


def resolve_kind(requested: str, stream: TextIO) -> str:
    """Resolve ``auto``: ``live`` on a terminal that can move its cursor, ``plain`` otherwise."""
    if requested != "auto":
        return requested
    return "live" if is_terminal(stream) else "plain"


def make_renderer(kind: str, stream: TextIO, *, warnings: tuple[str, ...] = (), timestamps: bool = False) -> Renderer:
    """Create the renderer of a kind; modules are imported when they are needed, because rich is slow to import.

    :param warnings: findings that the live view keeps visible; with other renderers they are printed before
    :param timestamps: start each line of the plain output with the time
    """
    if kind == "json":
        from fedpkg_container.progress.json_lines import JsonRenderer

        return JsonRenderer(stream)
    if kind == "live":
        from fedpkg_container.progress.live import LiveRenderer

        return LiveRenderer(stream, warnings=warnings)
    from fedpkg_container.progress.plain import PlainRenderer, QuietRenderer

    return QuietRenderer(stream) if kind == "quiet" else PlainRenderer(stream, timestamps=timestamps)
