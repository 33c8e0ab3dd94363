"""What an image was built with: the machine, the programs, and the RPMs that these came in."""

from __future__ import annotations

import functools
import os
import platform
import re
import shutil
from pathlib import Path
from typing import Any

from fedpkg_container import __version__
from fedpkg_container.image.packages import FORMAT, parse
from fedpkg_container.process import run

#: The programs that make an image, and where they have a part in it.
PROGRAMS = ("buildah", "skopeo", "runc", "crun", "bwrap", "git", "rpm", "go-md2man")
_VERSION = re.compile(r"\d+(?:\.\d+)+[^\s,)]*")
_NOT_OWNED = re.compile(r"^(?:file|error:) [^\x1e\x1f\n]*\n", re.MULTILINE)
TIMEOUT = 60.0


def buildroot(arch: str) -> dict[str, Any]:
    """The buildroot of an arch, as content generators describe it.

    :param arch: Koji's name of the image's arch
    """
    system = platform.freedesktop_os_release() if hasattr(platform, "freedesktop_os_release") else {}
    return {
        "host": {
            "os": f"{system.get('ID', os.uname().sysname.lower())}-{system.get('VERSION_ID', 'unknown')}",
            "arch": platform.machine(),
        },
        "content_generator": {"name": "fedpkg-container", "version": __version__},
        "container": {"type": "buildah", "arch": arch},
        "tools": [dict(each) for each in _tools()],
        "components": installed(PROGRAMS),
    }


@functools.lru_cache(maxsize=1)
def _tools() -> tuple[tuple[tuple[str, str], ...], ...]:
    """Names and versions of the programs that say them."""
    found = []
    for name in ("buildah", "skopeo"):
        said = _VERSION.search(run([name, "--version"], timeout=TIMEOUT).text)
        found.append((("name", name), ("version", said[0] if said else "unknown")))
    return tuple(found)


def installed(programs: tuple[str, ...], *, database: Path | None = None) -> list[dict[str, Any]]:
    """The RPMs that programs of this machine belong to, as components; none on a machine that is not made of RPMs.

    :param database: of rpm; None for the machine's own
    """
    paths = [path for path in map(shutil.which, programs) if path]
    options = ["--dbpath", str(database)] if database else []
    listed = run(["rpm", *options, "-qf", "--qf", FORMAT, *paths], timeout=TIMEOUT, check=False).text
    # A program that no package has is said in a line of its own.
    packages = {str(each.component): each.component for each in parse(_NOT_OWNED.sub("", listed))}
    return sorted(packages.values(), key=lambda each: (each["name"], each["arch"]))
