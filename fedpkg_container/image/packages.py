"""The RPMs of an image, read from outside: nothing of the image is run."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path
from typing import Any

from fedpkg_container.errors import BuildFailedError, ProgramError
from fedpkg_container.process import run

#: Where images keep their RPM database: Fedora's place, and the one before it.
_DATABASES = ("usr/lib/sysimage/rpm", "var/lib/rpm")
#: What its file is called: SQLite, and the formats before.
_FILES = frozenset({"rpmdb.sqlite", "Packages.db", "Packages"})
_FIELDS = ("NAME", "VERSION", "RELEASE", "EPOCH", "ARCH", "SIGMD5")
#: Control characters that no honest header holds, between fields and between packages.
_FIELD, _PACKAGE = "\x1f", "\x1e"
_SIGNATURE = "%|DSAHEADER?{%{DSAHEADER:pgpsig}}:{%|RSAHEADER?{%{RSAHEADER:pgpsig}}:{(none)}|}|"
_FORMAT = "".join(f"%{{{field}}}{_FIELD}" for field in _FIELDS) + _SIGNATURE + _PACKAGE
TIMEOUT = 300.0


def read_packages(root: Path, folder: Path) -> list[dict[str, Any]]:
    """The RPMs of an image, as content generators describe components, sorted by name.

    The database is copied out first, plain files only: a link in the image must not make rpm read the builder's own.

    :param root: the mounted image
    :param folder: where the copy goes
    :raises BuildFailedError: the database cannot be read
    """
    copy = folder / "rpmdb"
    if not any(_copy_database(root / path, root, copy) for path in _DATABASES):
        return []
    try:
        command = ["rpm", "--dbpath", str(copy), "--nosignature", "--nodigest", "-qa", "--qf", _FORMAT]
        listed = run(command, timeout=TIMEOUT).text
        components = [_component(line) for line in listed.split(_PACKAGE) if line]
    except (ProgramError, ValueError) as error:
        raise BuildFailedError(f"the image's RPM database cannot be read: {error}") from error
    return sorted((each for each in components if each["name"] != "gpg-pubkey"), key=lambda each: str(each["name"]))


def _copy_database(source: Path, root: Path, copy: Path) -> bool:
    """Copy the plain files of a database's folder; whether there was one."""
    if not source.is_dir() or source.resolve() != root.resolve() / source.relative_to(root):
        return False
    files = [path for path in source.iterdir() if stat.S_ISREG(path.lstat().st_mode)]
    if not {path.name for path in files} & _FILES:
        return False
    copy.mkdir()
    for path in files:
        shutil.copyfile(path, copy / path.name, follow_symlinks=False)
    return True


def _component(line: str) -> dict[str, Any]:
    name, version, release, epoch, arch, sigmd5, signature = line.split(_FIELD)
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
