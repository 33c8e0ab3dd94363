# SPDX-License-Identifier: GPL-2.0-or-later
"""Known vulnerabilities of the programs that a builder runs, and detection of those not mitigated.

docs/reference/security.md has the same list, with sources. If the worker mitigates one, the version does not matter;
versions of distributions, which backport fixes without a new number, are not compared. Those that depend on the
configuration of a machine have a condition here, and are logged when a builder starts.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass

from fedpkg_container.engines.inside import enter
from fedpkg_container.errors import FedpkgContainerError
from fedpkg_container.process import run

#: Timeout of ``--version``, seconds.
TIMEOUT = 30.0
KERNEL = "Linux"


def _never() -> bool:
    return False


def _bubblewrap_is_setuid() -> bool:
    path = shutil.which("bwrap")
    return path is not None and bool(os.stat(path).st_mode & stat.S_ISUID)


def _sockets_are_open() -> bool:
    return not enter.refuses_sockets(platform.machine())


@dataclass(frozen=True)
class Vulnerability:
    """A vulnerability.

    :param affected: first affected and first fixed version of each branch; empty for an open end
    :param held_off: how it is mitigated
    :param exposed: returns whether the mitigation fails on this machine
    :param solution: what to do then
    """

    cve: str
    program: str
    affected: tuple[tuple[str, str], ...]
    held_off: str
    exposed: Callable[[], bool] = _never
    solution: str = ""

    def affects(self, version: str) -> bool:
        """Return whether a version is affected; an unparsable one is not."""
        number = parse(version)
        return bool(number) and any(
            parse(first) <= number and (not fixed or number < parse(fixed)) for first, fixed in self.affected
        )


_WORKER = "reaches the worker's root, which has no rights outside"
KNOWN = (
    Vulnerability("CVE-2024-1753", "buildah", (("1.24.0", "1.35.1"),), _WORKER),
    Vulnerability("CVE-2024-9407", "buildah", (("0", "1.37.4"),), _WORKER),
    Vulnerability("CVE-2024-9675", "buildah", (("0", "1.38.0"),), _WORKER),
    Vulnerability(
        "CVE-2024-11218",
        "buildah",
        (("0", "1.33.12"), ("1.35.0", "1.35.5"), ("1.37.0", "1.37.6"), ("1.38.0", "1.38.1")),
        _WORKER,
    ),
    Vulnerability("CVE-2024-9341", "buildah", (("0", "1.37.4"),), _WORKER),
    Vulnerability("CVE-2024-9676", "buildah", (("0", "1.37.5"),), "--userns=auto is not used"),
    Vulnerability("CVE-2026-79705", "buildah", (("0", ""),), "buildah itself is not affected"),
    Vulnerability("CVE-2024-3727", "skopeo", (("0", "1.15.1"),), "the task fetches and compares digests itself"),
    Vulnerability("CVE-2023-25809", "runc", (("0", "1.1.5"),), "control groups belong to the builder's root"),
    Vulnerability("CVE-2023-27561", "runc", (("1.0.0", "1.1.5"),), _WORKER),
    Vulnerability("CVE-2023-28642", "runc", (("0", "1.1.5"),), _WORKER),
    Vulnerability("CVE-2024-21626", "runc", (("1.0.0", "1.1.12"),), _WORKER),
    Vulnerability("CVE-2024-45310", "runc", (("0", "1.1.14"),), _WORKER),
    Vulnerability("CVE-2025-31133", "runc", (("0", "1.2.8"), ("1.3.0", "1.3.3")), _WORKER),
    Vulnerability("CVE-2025-52565", "runc", (("1.0.0", "1.2.8"), ("1.3.0", "1.3.3")), _WORKER),
    Vulnerability("CVE-2025-52881", "runc", (("0", "1.2.8"), ("1.3.0", "1.3.3")), _WORKER),
    Vulnerability("CVE-2026-41579", "runc", (("0", "1.3.6"), ("1.4.0", "1.4.3")), _WORKER),
    Vulnerability("CVE-2025-24965", "crun", (("0", "1.20"),), "krun is not used"),
    Vulnerability("CVE-2026-84042", "crun", (("1.29", "1.30"),), "krun is not used"),
    Vulnerability("CVE-2026-88264", "crun", (("0", "1.30"),), _WORKER),
    Vulnerability("CVE-2026-88265", "crun", (("0", "1.30"),), _WORKER),
    Vulnerability("CVE-2026-30892", "crun", (("1.19", "1.27"),), "crun exec is not used"),
    Vulnerability("CVE-2026-47766", "crun", (("0", "1.28"),), _WORKER),
    Vulnerability(
        "CVE-2017-5226",
        "bwrap",
        (("0", "0.1.6"), ("0.1.7", "")),
        "workers have a session, and no terminal (--new-session)",
    ),
    Vulnerability(
        "CVE-2026-41163",
        "bwrap",
        (("0", "0.11.2"),),
        "bubblewrap is not set-user-ID",
        _bubblewrap_is_setuid,
        "remove the bit: chmod u-s on bwrap",
    ),
    Vulnerability(
        "CVE-2026-31431",
        KERNEL,
        (("4.11", "6.18.22"), ("6.19", "6.19.12")),
        "workers get no sockets of AF_ALG",
        _sockets_are_open,
        "use a kernel that corrects it, or forbid the module: install algif_aead /bin/false in /etc/modprobe.d",
    ),
)


def parse(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version; empty if there are none."""
    match = re.match(r"[0-9]+(\.[0-9]+)*", version)
    return tuple(map(int, match[0].split("."))) if match else ()


def installed(program: str) -> str:
    """Return a program's version; empty if it is not installed or prints none."""
    if program == KERNEL:
        return platform.release()
    if shutil.which(program) is None:
        return ""
    try:
        printed = run([program, "--version"], timeout=TIMEOUT, check=False).text[:1000]
    except (FedpkgContainerError, OSError):
        return ""
    match = re.search(r"[0-9]+(\.[0-9]+)+", printed)
    return match[0] if match else ""


def installed_number(program: str) -> tuple[int, ...] | None:
    """Return the numbers of a program's version; None if it is not known."""
    return parse(installed(program)) or None


def exposures() -> list[str]:
    """Return the unmitigated vulnerabilities of this machine, each as a sentence with a solution."""
    vulnerabilities = []
    for each in KNOWN:
        if each.exposed() and each.affects(version := installed(each.program)):
            vulnerabilities.append(f"{each.cve} of {each.program} {version} is not mitigated: {each.solution}")
    return vulnerabilities
