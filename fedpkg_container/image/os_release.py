"""Which distribution an image is, read from outside."""

from __future__ import annotations

import re
from pathlib import Path

from fedpkg_container.engines.opening import open_plain

_LINE = re.compile(r"""^(ID|VERSION_ID)=["']?([a-z0-9][a-z0-9._-]{0,63})["']?\s*$""", re.MULTILINE)
_PLACES = (("usr", "lib", "os-release"), ("etc", "os-release"))
#: The files that are read, below the root of an image.
FILES = tuple("/".join(place) for place in _PLACES)
_LONGEST = 64 * 1024


def read_distribution(root: Path) -> dict[str, str]:
    """``id`` and ``version`` of the distribution, where the image says them (os-release(5)).

    :param root: a directory with the image's files; no link in it is followed
    """
    for place in _PLACES:
        text = _read(root, place)
        if text:
            found = dict(_LINE.findall(text))
            return {key: found[name] for key, name in (("id", "ID"), ("version", "VERSION_ID")) if name in found}
    return {}


def _read(root: Path, place: tuple[str, ...]) -> str:
    try:
        with open_plain(root.joinpath(*place), root.parent) as file:
            return file.read(_LONGEST).decode(errors="replace")
    except OSError:
        return ""
