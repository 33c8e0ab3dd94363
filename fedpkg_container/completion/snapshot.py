"""The arguments of the site's whole client, written down so that they can be completed without loading it.

A snapshot belongs to what defined it: the interpreter, its path, the files of the modules that built the arguments,
the installed distributions, and the configuration. When one of them is not what it was, the snapshot is not used.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any

from fedpkg_container.completion import cache

FORMAT = 1

#: Packages whose modules define arguments and how they are completed; the site's own is one more.
PACKAGES = ("fedpkg_container", "pyrpkg", "argcomplete")
#: Their distributions, in the spelling of their metadata's folders.
DISTRIBUTIONS = ("fedpkg_container", "rpkg", "argcomplete")

Stamp = list[Any]


def path_of(site: str) -> str:
    """Where the snapshot of a site's client is kept."""
    return os.path.join(cache.directory(site), "snapshot.json")


def load(site: str, configuration: Iterable[str]) -> cache.Data:
    """The snapshot, when it is that of what is installed and configured now; else empty.

    :param configuration: the files that configuration is read from, whether they exist or not
    """
    data = cache.read(path_of(site))
    if not data or data.get("made_by") != _made_by(configuration):
        return {}
    files = data.get("files")
    if not isinstance(files, list) or not all(isinstance(each, list) and each == _stamp(each[0]) for each in files):
        return {}
    return data


def save(site: str, configuration: Iterable[str], data: cache.Data) -> None:
    """Keep a snapshot with what defined it; without a place for it, the next TAB is as slow as this one."""
    configuration = list(configuration)
    files = [*configuration, *_modules(site), *_installed(site)]
    try:
        cache.write(
            path_of(site),
            {**data, "made_by": _made_by(configuration), "files": [_stamp(path) for path in sorted(set(files))]},
        )
    except OSError:
        return


def _made_by(configuration: Iterable[str]) -> list[Any]:
    # The first entry of the path is the program's own folder.
    return [FORMAT, sys.version, sys.prefix, sys.path[1:], list(configuration)]


def _stamp(path: object) -> Stamp:
    """How a file is told from a changed one: its time in ns and its size, -1 where there is none."""
    try:
        found = os.stat(str(path))
    except (OSError, ValueError):
        return [path, -1, -1]
    return [path, found.st_mtime_ns, found.st_size]


def _modules(site: str) -> list[str]:
    """The files of the modules that are loaded: those that had a part in the arguments."""
    packages = {*PACKAGES, site}
    names = [name for name in sys.modules if name.partition(".")[0] in packages]
    return [file for name in names if (file := getattr(sys.modules[name], "__file__", None))]


def _installed(site: str) -> list[str]:
    """The folders that things are installed in, and the metadata of the distributions: their names have versions."""
    wanted = {name.lower() for name in (*DISTRIBUTIONS, site.replace("-", "_"))}
    found = []
    for folder in sys.path[1:]:
        if os.path.basename(folder) not in ("site-packages", "dist-packages"):
            continue
        found.append(folder)
        for entry in os.listdir(folder) if os.path.isdir(folder) else []:
            name = entry.partition("-")[0].lower().replace(".", "_")
            if entry.endswith((".dist-info", ".egg-info")) and name in wanted:
                found.append(os.path.join(folder, entry))
    return found
