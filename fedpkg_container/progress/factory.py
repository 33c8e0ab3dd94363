"""Which way a build is shown."""

from __future__ import annotations

import os
from typing import TextIO

from fedpkg_container.progress.plain import Renderer


def resolve_kind(asked: str, stream: TextIO) -> str:
    """What ``auto`` means: live on a terminal that can move its cursor, else plain."""
    if asked != "auto":
        return asked
    return "live" if stream.isatty() and os.environ.get("TERM", "dumb") != "dumb" else "plain"


def make_renderer(kind: str, stream: TextIO, *, warnings: tuple[str, ...] = ()) -> Renderer:
    """The renderer of a kind; what it needs is loaded here.

    :param warnings: findings that the live view keeps visible; the others have shown them already
    """
    if kind == "json":
        from fedpkg_container.progress.json_lines import JsonRenderer

        return JsonRenderer(stream)
    if kind == "live":
        from fedpkg_container.progress.live import LiveRenderer

        return LiveRenderer(stream, warnings=warnings)
    from fedpkg_container.progress.plain import PlainRenderer, QuietRenderer

    return QuietRenderer(stream) if kind == "quiet" else PlainRenderer(stream)
