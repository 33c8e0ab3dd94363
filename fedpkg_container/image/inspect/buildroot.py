"""What an image was built with: the machine, the programs, and the RPMs that these came in."""

from __future__ import annotations

import os
import platform
import re
import shutil
from pathlib import Path
from typing import Any

from fedpkg_container import __version__
from fedpkg_container.image.inspect.rpms import QUERY_FORMAT, parse_packages
from fedpkg_container.process import run

#: The programs that make an image, and where they have a part in it.
PROGRAMS = ("buildah", "skopeo", "runc", "crun", "bwrap", "git", "rpm", "go-md2man")
_VERSION = re.compile(r"\d+(?:\.\d+)+[^\s,)]*")
_NOT_OWNED = re.compile(r"^(?:file|error:) [^\x1e\x1f\n]*\n", re.MULTILINE)
TIMEOUT = 60.0


def describe_buildroot(arch: str) -> dict[str, Any]:
    """The buildroot of an arch, as content generators describe it.

    :param arch: Koji's name of the image's arch
    """
    os_release = platform.freedesktop_os_release() if hasattr(platform, "freedesktop_os_release") else {}
    return {
        "host": {
            "os": f"{os_release.get('ID', os.uname().sysname.lower())}-{os_release.get('VERSION_ID', 'unknown')}",
            "arch": platform.machine(),
        },
        "content_generator": {"name": "fedpkg-container", "version": __version__},
        "container": {"type": "buildah", "arch": arch},
        "tools": [{"name": name, "version": _program_version(name)} for name in ("buildah", "skopeo")],
        "components": owning_packages(PROGRAMS),
    }


def _program_version(program: str) -> str:
    """The version that a program says it has."""
    match = _VERSION.search(run([program, "--version"], timeout=TIMEOUT).text)
    return match[0] if match else "unknown"


def owning_packages(programs: tuple[str, ...], *, database: Path | None = None) -> list[dict[str, Any]]:
    """The RPMs that programs of this machine belong to, as components; none on a machine that is not made of RPMs.

    :param database: of rpm; None for the machine's own
    """
    paths = [path for path in map(shutil.which, programs) if path]
    options = ["--dbpath", str(database)] if database else []
    output = run(["rpm", *options, "-qf", "--qf", QUERY_FORMAT, *paths], timeout=TIMEOUT, check=False).text
    # A program that no package has is said in a line of its own.
    packages = {str(each.component): each.component for each in parse_packages(_NOT_OWNED.sub("", output))}
    return sorted(packages.values(), key=lambda each: (each["name"], each["arch"]))
