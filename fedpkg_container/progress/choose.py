"""Which way a build is shown."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TextIO, Union

from fedpkg_container.progress.json_lines import JsonRenderer
from fedpkg_container.progress.plain import PlainRenderer, QuietRenderer

if TYPE_CHECKING:
    from fedpkg_container.progress.live import LiveRenderer

Renderer = Union[PlainRenderer, JsonRenderer, "LiveRenderer"]


def kind_for(asked: str, stream: TextIO) -> str:
    """What ``auto`` means: live on a terminal that can move its cursor, else plain."""
    if asked != "auto":
        return asked
    return "live" if stream.isatty() and os.environ.get("TERM", "dumb") != "dumb" else "plain"


def renderer(kind: str, stream: TextIO, *, warnings: tuple[str, ...] = ()) -> Renderer:
    """The renderer of a kind.

    :param warnings: findings that the live view keeps visible; the others have shown them already
    """
    if kind == "json":
        return JsonRenderer(stream)
    if kind == "quiet":
        return QuietRenderer(stream)
    if kind == "live":
        from fedpkg_container.progress.live import LiveRenderer

        return LiveRenderer(stream, warnings=warnings)
    return PlainRenderer(stream)
