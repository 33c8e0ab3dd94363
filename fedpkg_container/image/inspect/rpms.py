"""The RPMs of an image, read from outside: nothing of the image is run."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import stat
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedpkg_container.engines.opening import open_directory, open_plain_at
from fedpkg_container.engines.sandbox import confined
from fedpkg_container.engines.workspace import Workspace
from fedpkg_container.errors import BuildFailedError, ProgramError, ProgramOutputError, ProgramTimeoutError
from fedpkg_container.process import run
from fedpkg_container.text import printable_line

#: Where images keep their RPM database: Fedora's place, and the one before it.
DATABASES = ("usr/lib/sysimage/rpm", "var/lib/rpm")
#: What its file is called: SQLite, and the formats before.
_FILES = frozenset({"rpmdb.sqlite", "Packages.db", "Packages"})
_BEFORE, _AFTER = ("NAME", "VERSION", "RELEASE", "EPOCH", "ARCH"), ("LICENSE", "VENDOR", "SOURCERPM")
_COUNT = len(_BEFORE) + len(_AFTER) + 2
#: Control characters that no honest header holds, between fields and between packages.
_FIELD, _PACKAGE = "\x1f", "\x1e"
#: What identifies an RPM: RPMs of format 6 have no MD5, but every RPM since rpm 4.14 the SHA-256 of its header.
_IDENTITY = "%|SIGMD5?{%{SIGMD5}}:{%{SHA256HEADER}}|"
_SIGNATURE = "%|DSAHEADER?{%{DSAHEADER:pgpsig}}:{%|RSAHEADER?{%{RSAHEADER:pgpsig}}:{(none)}|}|"
#: A number of 32 bits: ``str.isdigit`` allows what ``int`` does not.
_EPOCH = re.compile("[0-9]{1,10}")
#: What rpm is asked to say of each package.
FORMAT = (
    _FIELD.join([*(f"%{{{tag}}}" for tag in _BEFORE), _IDENTITY, *(f"%{{{tag}}}" for tag in _AFTER), _SIGNATURE])
    + _PACKAGE
)
#: Seconds that rpm may take, and seconds of a processor: 10,000 RPMs take less than two.
TIMEOUT, CPU_TIME = 300.0, 120
#: The largest database that is read, bytes: it is of the packager's making, and what is in it goes to the hub.
LARGEST = 512 * 10**6
#: Files of a database's folder that are copied, where four are usual, and bytes that are copied at a time.
_MOST_FILES, _PART = 100, 1 << 20
#: Runs a program with a database of which it has a copy of its own.
_WITH_COPY = 'own=$(mktemp -d); cp -R -- "$1/." "$own"; shift; exec "$@" --dbpath "$own"'
#: The most RPMs of an image: the largest installations of a whole distribution have 10,000 to 15,000.
MOST = 50_000
#: Bytes that rpm may print: about 300 of an RPM are usual, and 650 of each of the most.
OUTPUT_LIMIT = 32 * 10**6
#: Bytes that rpm may use of memory, where one header may have 256 MB, and bytes of a temporary file.
MEMORY, TEMPORARY = 2 * 10**9, 64 * 10**6
_ERROR = re.compile("^error: (.*)$", re.MULTILINE)
#: What a shell's status says when one of these limits ended rpm.
_EXCEEDED = {
    128 + signal.SIGXCPU: f"{CPU_TIME} s of a processor",
    128 + signal.SIGXFSZ: f"{TEMPORARY // 10**6} MB of temporary files",
}
#: Characters of a name, version, release or arch, and of any other field.
LONGEST_NAME, LONGEST_FIELD = 1024, 64 * 1024


@dataclass(frozen=True)
class Package:
    """An RPM of an image.

    :param component: as content generators describe it
    :param details: what else its header says: license, vendor, source_rpm; empty where it does not
    """

    component: dict[str, Any]
    details: dict[str, str]


def read_packages(root: Path, workspace: Workspace) -> list[Package]:
    """The RPMs of an image, sorted by name, version, release and arch.

    The database is copied out first, plain files only: a link in the image must not make rpm read the builder's own.
    The copy is the task's, which no worker can change; rpm, which may write to it, gets a copy of that and sees nothing
    else: the database may have been made to mislead it.

    :param root: with the image's files; nothing above it belongs to a worker, but its parent
    :param workspace: of the worker that reads the copy
    :raises BuildFailedError: the database cannot be read
    """
    copy = Path(tempfile.mkdtemp(prefix="rpmdb-", dir=workspace.folder))
    copy.chmod(0o755)
    if not any(_copy_database(root, path, copy) for path in DATABASES):
        return []
    try:
        limits = [
            "prlimit",
            f"--cpu={CPU_TIME}:{CPU_TIME + 5}",
            f"--as={MEMORY}",
            f"--fsize={TEMPORARY}",
            "--core=0",
            "--",
        ]
        rpm = [*limits, "rpm", "--nosignature", "--nodigest", "-qa", "--qf", FORMAT]
        command: list[str | Path] = ["sh", "-euc", _WITH_COPY, "sh", copy, *rpm]
        listed = run(confined(command, workspace, readable=[copy]), timeout=TIMEOUT, limit=OUTPUT_LIMIT)
        if found := _ERROR.search(listed.stderr.decode(errors="replace")):  # rpm ends with status 0 all the same
            raise ValueError(f"rpm: {printable_line(found[1][:200])}")
        packages = parse(listed.text)
    except (ProgramError, ProgramTimeoutError, ValueError) as error:
        raise BuildFailedError(
            f"the image's RPM database cannot be read: {_why(error)}", solution="check what RUN and COPY do to it"
        ) from error
    return sorted((each for each in packages if each.component["name"] != "gpg-pubkey"), key=_order)


def _why(error: Exception) -> str:
    if isinstance(error, ProgramOutputError):
        return f"rpm prints more than {error.limit / 10**6:.3g} MB"
    exceeded = _EXCEEDED.get(error.status) if isinstance(error, ProgramError) else None
    return f"rpm needs more than {exceeded}" if exceeded else str(error)


def parse(listed: str) -> list[Package]:
    """The packages in what rpm printed in our format.

    :raises ValueError: a package is not in that format, a field is too long, or there are too many
    """
    if listed.count(_PACKAGE) > MOST:
        raise ValueError(f"it lists more than {MOST} RPMs")
    return [_package(line) for line in listed.split(_PACKAGE) if line]


def _order(package: Package) -> tuple[str, ...]:
    return tuple(str(package.component[key]) for key in ("name", "version", "release", "arch", "sigmd5"))


def _copy_database(root: Path, path: str, copy: Path) -> bool:
    """Copy the plain files of a database's folder; whether there was one.

    A process of the worker may be changing the folder meanwhile.
    """
    try:
        folder = open_directory(root / path, root.parent)
    except OSError:
        return False
    left = LARGEST
    try:
        names = sorted(os.listdir(folder), key=lambda name: (name not in _FILES, name))[:_MOST_FILES]
        if not any(_is_plain(folder, name) for name in names if name in _FILES):
            return False
        for name in names:
            with (
                contextlib.suppress(OSError),
                open_plain_at(folder, name) as source,
                (copy / name).open("xb") as target,
            ):
                while chunk := source.read(min(left + 1, _PART)):
                    left -= len(chunk)
                    if left < 0:
                        raise BuildFailedError(
                            f"the image's RPM database has more than {LARGEST // 10**6} MB",
                            solution="check what RUN does to it",
                        )
                    target.write(chunk)
    finally:
        os.close(folder)
    return True


def _is_plain(folder: int, name: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(name, dir_fd=folder).st_mode)
    except OSError:  # it has gone meanwhile
        return False


def _package(line: str) -> Package:
    fields = line.split(_FIELD)
    if len(fields) != _COUNT:
        raise ValueError(f"an RPM has {len(fields)} fields instead of {_COUNT}")
    name, version, release, epoch, arch, sigmd5, license_, vendor, source_rpm, signature = fields
    for text, longest in (
        (max(name, version, release, arch, key=len), LONGEST_NAME),
        (max(fields, key=len), LONGEST_FIELD),
    ):
        if len(text) > longest:
            raise ValueError(f"a field has {len(text)} characters: {printable_line(text[:80])!r}...")
    component = {
        "type": "rpm",
        "name": name,
        "version": version,
        "release": release,
        "epoch": int(epoch) if _EPOCH.fullmatch(epoch) else None,
        "arch": arch,
        "sigmd5": sigmd5,
        "signature": None if signature == "(none)" else signature.rpartition(" ")[2],
    }
    details = {"license": license_, "vendor": vendor, "source_rpm": source_rpm}
    # Task results are XML, which has no control characters.
    shown = {key: printable_line(value) for key, value in details.items()}
    return Package(component, {key: "" if value == "(none)" else value for key, value in shown.items()})


#: How many are asked for in one request.
BATCH = 200


def unknown_rpms(session: Any, components: Sequence[dict[str, Any]]) -> set[int]:
    """Numbers of the components that the hub does not know, or knows under another SIGMD5."""
    with session.multicall(batch=BATCH) as calls:
        found = [
            calls.getRPM({key: each[key] for key in ("name", "version", "release", "arch")}) for each in components
        ]
    return {
        number
        for number, (each, answer) in enumerate(zip(components, found))
        if not answer.result or answer.result["payloadhash"] != each["sigmd5"]
    }
