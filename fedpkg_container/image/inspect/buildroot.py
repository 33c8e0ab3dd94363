# SPDX-License-Identifier: GPL-2.0-or-later
"""The buildroot of an image: the builder, and the programs and RPMs that took part in the build."""

from __future__ import annotations

import os
import platform
import re
import shutil
from pathlib import Path

from fedpkg_container import __version__
from fedpkg_container.image.inspect.describe import read_distribution
from fedpkg_container.image.inspect.rpms import QUERY_FORMAT, parse_packages
from fedpkg_container.model.koji_types import Buildroot, RPMComponent
from fedpkg_container.process import run

#: Programs that take part in a build.
PROGRAMS = ("buildah", "skopeo", "runc", "crun", "bwrap", "git", "rpm", "go-md2man")
_VERSION = re.compile(r"\d+(?:\.\d+)+[^\s,)]*")
_NOT_OWNED = re.compile(r"^(?:file|error:) [^\x1e\x1f\n]*\n", re.MULTILINE)
TIMEOUT = 60.0


def describe_buildroot(arch: str) -> Buildroot:
    """Return the buildroot in content-generator format.

    :param arch: Koji's name of the image's architecture
    """
    distribution = read_distribution(Path("/"))
    return {
        "host": {
            "os": f"{distribution.get('id', os.uname().sysname.lower())}-{distribution.get('version', 'unknown')}",
            "arch": platform.machine(),
        },
        "content_generator": {"name": "fedpkg-container", "version": __version__},
        "container": {"type": "buildah", "arch": arch},
        "tools": [{"name": name, "version": _program_version(name)} for name in ("buildah", "skopeo")],
        "components": owning_packages(PROGRAMS),
    }


def _program_version(program: str) -> str:
    """Return the version that a program prints."""
    match = _VERSION.search(run([program, "--version"], timeout=TIMEOUT).text)
    return match[0] if match else "unknown"


def owning_packages(programs: tuple[str, ...], *, database: Path | None = None) -> list[RPMComponent]:
    """Return the RPMs that own programs of this machine, as components; empty on a machine without RPMs.

    :param database: RPM database; None for that of the machine
    """
    paths = [path for path in map(shutil.which, programs) if path]
    options = ["--dbpath", str(database)] if database else []
    output = run(["rpm", *options, "-qf", "--qf", QUERY_FORMAT, *paths], timeout=TIMEOUT, check=False).text
    # rpm prints a line for each program that no package owns.
    packages = {str(package.component): package.component for package in parse_packages(_NOT_OWNED.sub("", output))}
    return sorted(packages.values(), key=lambda package: (package["name"], package["arch"]))
