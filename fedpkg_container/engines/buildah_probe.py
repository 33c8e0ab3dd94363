# SPDX-License-Identifier: GPL-2.0-or-later
"""Results of tests of the installed buildah, each run once per version; see also ``model/buildah.py``."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from fedpkg_container.engines import versions
from fedpkg_container.files import write_atomically

FILE = "buildah.json"


def known_result(state: Path, name: str, probe: Callable[[], bool]) -> bool:
    """Return the result of a test of the installed buildah; run it unless this version has been tested here.

    Results are kept until another version, or another file of the same version, is installed.

    :param state: directory for builds, in which results are kept
    :param name: of the test
    """
    program, results = _installed(), {}
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        known = json.loads((state / FILE).read_text())
        if known["program"] == program:
            results = {str(key): bool(value) for key, value in known["results"].items()}
    if name not in results:
        results[name] = probe()
        write_atomically(state / FILE, json.dumps({"program": program, "results": results}))
    return results[name]


def _installed() -> list[object]:
    """Return what identifies the installed program, as JSON."""
    path = shutil.which("buildah")
    stat = os.stat(path) if path else None
    return [versions.installed("buildah"), path, stat and stat.st_size, stat and stat.st_mtime_ns]
