# SPDX-License-Identifier: GPL-2.0-or-later
"""Snapshots of the client's arguments, so that they can be completed without importing the client.

A snapshot is valid only for the interpreter, module search path, source files, installed distributions and
configuration that it was created with. If one of them has changed, it is ignored.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any

from fedpkg_container.completion import cache

FORMAT = 1

#: Packages whose modules define arguments and completers, besides the site's own package.
PACKAGES = ("fedpkg_container", "pyrpkg", "argcomplete")
#: Their distributions, spelled as in the names of their metadata directories.
DISTRIBUTIONS = ("fedpkg_container", "rpkg", "argcomplete")

Stamp = list[Any]


def path_of(site: str) -> str:
    """Return the path of the snapshot of a site's client."""
    return os.path.join(cache.directory(site), "snapshot.json")


def load(site: str, configuration: Iterable[str]) -> cache.Data:
    """Read the snapshot; return an empty dictionary if it does not match the current installation and configuration.

    :param configuration: paths of the configuration files, which need not exist
    """
    data = cache.read(path_of(site))
    if not data or data.get("made_by") != _made_by(configuration):
        return {}
    files = data.get("files")
    if not isinstance(files, list) or not all(isinstance(stamp, list) and stamp == _stamp(stamp[0]) for stamp in files):
        return {}
    return data


def save(site: str, configuration: Iterable[str], data: cache.Data) -> None:
    """Write a snapshot with its validity data. Errors are ignored: they only make the next completion slow."""
    configuration = list(configuration)
    files = [*configuration, *_modules(site), *_installed(site)]
    try:
        cache.write(
            path_of(site),
            {**data, "made_by": _made_by(configuration), "files": [_stamp(path) for path in sorted(set(files))]},
        )
    except OSError:
        return


def _made_by(configuration: Iterable[str]) -> list[object]:
    # The first entry of the path is the directory of the program itself.
    return [FORMAT, sys.version, sys.prefix, sys.path[1:], list(configuration)]


def _stamp(path: object) -> Stamp:
    """Return path, modification time (ns) and size (bytes) of a file; -1 for both if it is missing."""
    try:
        status = os.stat(str(path))
    except (OSError, ValueError):
        return [path, -1, -1]
    return [path, status.st_mtime_ns, status.st_size]


def _modules(site: str) -> list[str]:
    """Return the files of the imported modules, any of which may define arguments."""
    packages = {*PACKAGES, site}
    names = [name for name in sys.modules if name.partition(".")[0] in packages]
    return [file for name in names if (file := getattr(sys.modules[name], "__file__", None))]


def _installed(site: str) -> list[str]:
    """Return the installation directories and the distributions' metadata directories, whose names have versions."""
    distributions = {name.lower() for name in (*DISTRIBUTIONS, site.replace("-", "_"))}
    paths = []
    for directory in sys.path[1:]:
        if os.path.basename(directory) not in ("site-packages", "dist-packages"):
            continue
        paths.append(directory)
        for entry in os.listdir(directory) if os.path.isdir(directory) else []:
            name = entry.partition("-")[0].lower().replace(".", "_")
            if entry.endswith((".dist-info", ".egg-info")) and name in distributions:
                paths.append(os.path.join(directory, entry))
    return paths
