"""The RPMs of an image, read from outside: nothing of the image is run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fedpkg_container.process import run

#: Where images keep their RPM database: Fedora's place, and the one before it.
_DATABASES = ("usr/lib/sysimage/rpm", "var/lib/rpm")
_FIELDS = ("NAME", "VERSION", "RELEASE", "EPOCH", "ARCH", "SIGMD5")
_FORMAT = (
    "|".join(f"%{{{field}}}" for field in _FIELDS)
    + "|%|DSAHEADER?{%{DSAHEADER:pgpsig}}:{%|RSAHEADER?{%{RSAHEADER:pgpsig}}:{(none)}|}|\n"
)
TIMEOUT = 300.0


def read_packages(root: Path) -> list[dict[str, Any]]:
    """The RPMs below a folder, as content generators describe components, sorted by name.

    :param root: the mounted image
    :raises ProgramError: the database cannot be read
    """
    database = next((path for path in _DATABASES if _has_database(root, path)), None)
    if database is None:
        return []
    command = ["rpm", "--root", str(root), "--dbpath", f"/{database}", "--nosignature", "--nodigest"]
    listed = run([*command, "-qa", "--qf", _FORMAT], timeout=TIMEOUT).text
    return sorted((_component(line) for line in listed.splitlines() if "|" in line), key=lambda each: str(each["name"]))


def _has_database(root: Path, path: str) -> bool:
    """Whether a database is there; a link that leads out of the image is none."""
    folder = root / path
    inside = folder.resolve().is_relative_to(root.resolve())
    return inside and any((folder / name).exists() for name in ("rpmdb.sqlite", "Packages", "Packages.db"))


def _component(line: str) -> dict[str, Any]:
    name, version, release, epoch, arch, sigmd5, signature = line.split("|", 6)
    return {
        "type": "rpm",
        "name": name,
        "version": version,
        "release": release,
        "epoch": int(epoch) if epoch.isdigit() else None,
        "arch": arch,
        "sigmd5": sigmd5,
        "signature": None if signature == "(none)" else signature.rpartition(" ")[2],
    }
