# SPDX-License-Identifier: GPL-2.0-or-later
"""The RPMs of an image, read without executing anything from it, and compared with Koji's."""

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

from fedpkg_container.engines.opening import open_directory, open_plain_at
from fedpkg_container.engines.sandbox import confined
from fedpkg_container.engines.workspace import Workspace
from fedpkg_container.errors import BuildFailedError, ProgramError, ProgramOutputError, ProgramTimeoutError
from fedpkg_container.hub.protocol import HubSession
from fedpkg_container.model.koji_types import RPMComponent
from fedpkg_container.process import run
from fedpkg_container.text import printable_line

#: Directories of the RPM database: Fedora's current and former one.
DATABASES = ("usr/lib/sysimage/rpm", "var/lib/rpm")
#: Its file name: SQLite, and older formats.
_DATABASE_FILES = frozenset({"rpmdb.sqlite", "Packages.db", "Packages"})
_LEADING_TAGS, _TRAILING_TAGS = ("NAME", "VERSION", "RELEASE", "EPOCH", "ARCH"), ("LICENSE", "VENDOR", "SOURCERPM")
_FIELD_COUNT = len(_LEADING_TAGS) + len(_TRAILING_TAGS) + 2
#: Control characters between fields and between packages; valid headers have none.
_FIELD_SEPARATOR, _PACKAGE_SEPARATOR = "\x1f", "\x1e"
#: Digest that identifies an RPM: format 6 has no MD5, but every RPM since rpm 4.14 has the SHA-256 of its header.
_IDENTITY = "%|SIGMD5?{%{SIGMD5}}:{%{SHA256HEADER}}|"
_SIGNATURE = "%|DSAHEADER?{%{DSAHEADER:pgpsig}}:{%|RSAHEADER?{%{RSAHEADER:pgpsig}}:{(none)}|}|"
#: A 32-bit number: ``str.isdigit`` accepts characters that ``int`` does not.
_EPOCH = re.compile("[0-9]{1,10}")
#: rpm's query format for each package.
QUERY_FORMAT = (
    _FIELD_SEPARATOR.join(
        [*(f"%{{{tag}}}" for tag in _LEADING_TAGS), _IDENTITY, *(f"%{{{tag}}}" for tag in _TRAILING_TAGS), _SIGNATURE]
    )
    + _PACKAGE_SEPARATOR
)
#: Seconds for rpm, elapsed and of CPU time: 10,000 RPMs take less than two.
TIMEOUT, CPU_TIME = 300.0, 120
#: Size limit of the database, bytes: the packager controls it, and its contents go to the hub.
MAX_DATABASE_BYTES = 512 * 10**6
#: Limit of files in the database's directory, where four are usual, and bytes that are copied at a time.
_MAX_FILES, _PART_BYTES = 100, 1 << 20
#: Run a program with its own copy of a database.
_WITH_COPY = 'own=$(mktemp -d); cp -R -- "$1/." "$own"; shift; exec "$@" --dbpath "$own"'
#: Limit of RPMs in an image: the largest installations of a distribution have 10,000 to 15,000.
MAX_RPMS = 50_000
#: Size limit of rpm's output, bytes: 650 per RPM with the maximum number of RPMs; about 300 are usual.
MAX_OUTPUT_BYTES = 32 * 10**6
#: Limits of rpm's memory, where one header may have 256 MB, and of a temporary file; bytes.
MAX_MEMORY, MAX_TEMPORARY_BYTES = 2 * 10**9, 64 * 10**6
_ERROR = re.compile("^error: (.*)$", re.MULTILINE)
#: Exit statuses of rpm when it exceeded one of these limits.
_LIMITS_BY_STATUS = {
    128 + signal.SIGXCPU: f"{CPU_TIME} s of CPU time",
    128 + signal.SIGXFSZ: f"{MAX_TEMPORARY_BYTES // 10**6} MB of temporary files",
}
#: Limits of a name, version, release or architecture, and of any other field; characters.
MAX_NAME_LENGTH, MAX_FIELD_LENGTH = 1024, 64 * 1024


@dataclass(frozen=True)
class InstalledRPM:
    """An RPM in an image.

    :param component: in content-generator format
    :param details: license, vendor and source_rpm of its header; empty where missing
    """

    component: RPMComponent
    details: dict[str, str]


def read_packages(root: Path, workspace: Workspace) -> list[InstalledRPM]:
    """Return the RPMs of an image, sorted by name, version, release and architecture.

    The plain files of the database are copied first: a link in the image must not make rpm read files of the builder.
    The copy belongs to the task, and no worker can change it. rpm may write to a database, so it gets another copy, and
    is confined to it, as the database may be malicious.

    :param root: root directory of the image's files; only its parent may belong to a worker
    :param workspace: of the worker that reads the copy
    :raises BuildFailedError: if the database cannot be read
    """
    copy = Path(tempfile.mkdtemp(prefix="rpmdb-", dir=workspace.directory))
    copy.chmod(0o755)
    if not any(_copy_database(root, path, copy) for path in DATABASES):
        return []
    try:
        limits = [
            "prlimit",
            f"--cpu={CPU_TIME}:{CPU_TIME + 5}",
            f"--as={MAX_MEMORY}",
            f"--fsize={MAX_TEMPORARY_BYTES}",
            "--core=0",
            "--",
        ]
        rpm = [*limits, "rpm", "--nosignature", "--nodigest", "-qa", "--qf", QUERY_FORMAT]
        command: list[str | Path] = ["sh", "-euc", _WITH_COPY, "sh", copy, *rpm]
        output = run(confined(command, workspace, readable=[copy]), timeout=TIMEOUT, limit=MAX_OUTPUT_BYTES)
        if error := _ERROR.search(output.stderr.decode(errors="replace")):  # rpm exits with status 0 anyway
            raise ValueError(f"rpm: {printable_line(error[1][:200])}")
        packages = parse_packages(output.text)
    except (ProgramError, ProgramTimeoutError, ValueError) as error:
        raise BuildFailedError(
            f"cannot read the image's RPM database: {_failure_reason(error)}",
            solution="check what RUN and COPY do to it",
        ) from error
    return sorted((package for package in packages if package.component["name"] != "gpg-pubkey"), key=_sort_key)


def _failure_reason(error: Exception) -> str:
    if isinstance(error, ProgramOutputError):
        return f"rpm printed more than {error.limit / 10**6:.3g} MB"
    exceeded = _LIMITS_BY_STATUS.get(error.status) if isinstance(error, ProgramError) else None
    if exceeded:
        return f"rpm used more than {exceeded}"
    match = _ERROR.search(error.output) if isinstance(error, ProgramError) else None
    return f"rpm: {printable_line(match[1].partition(' in /')[0][:200])}" if match else str(error)


def parse_packages(output: str) -> list[InstalledRPM]:
    """Parse rpm's output in ``QUERY_FORMAT``.

    :raises ValueError: if a package is not in that format, a field is too long, or there are too many packages
    """
    if output.count(_PACKAGE_SEPARATOR) > MAX_RPMS:
        raise ValueError(f"it lists more than {MAX_RPMS} RPMs")
    return [_parse_package(line) for line in output.split(_PACKAGE_SEPARATOR) if line]


def _sort_key(package: InstalledRPM) -> tuple[str, ...]:
    return tuple(str(package.component[key]) for key in ("name", "version", "release", "arch", "sigmd5"))


def _copy_database(root: Path, path: str, copy: Path) -> bool:
    """Copy the plain files of a database's directory; return whether there is one.

    A process of the worker may change the directory at the same time.
    """
    try:
        directory = open_directory(root / path, root.parent)
    except OSError:
        return False
    left = MAX_DATABASE_BYTES
    try:
        names = sorted(os.listdir(directory), key=lambda name: (name not in _DATABASE_FILES, name))[:_MAX_FILES]
        if not any(_is_plain(directory, name) for name in names if name in _DATABASE_FILES):
            return False
        for name in names:
            with (
                contextlib.suppress(OSError),
                open_plain_at(directory, name) as source,
                (copy / name).open("xb") as target,
            ):
                while chunk := source.read(min(left + 1, _PART_BYTES)):
                    left -= len(chunk)
                    if left < 0:
                        raise BuildFailedError(
                            f"the image's RPM database has more than {MAX_DATABASE_BYTES // 10**6} MB",
                            solution="check what RUN does to it",
                        )
                    target.write(chunk)
    finally:
        os.close(directory)
    return True


def _is_plain(directory: int, name: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(name, dir_fd=directory).st_mode)
    except OSError:  # deleted in the meantime
        return False


def _parse_package(line: str) -> InstalledRPM:
    fields = line.split(_FIELD_SEPARATOR)
    if len(fields) != _FIELD_COUNT:
        raise ValueError(f"an RPM has {len(fields)} fields instead of {_FIELD_COUNT}")
    name, version, release, epoch, arch, sigmd5, license_, vendor, source_rpm, signature = fields
    for text, longest in (
        (max(name, version, release, arch, key=len), MAX_NAME_LENGTH),
        (max(fields, key=len), MAX_FIELD_LENGTH),
    ):
        if len(text) > longest:
            raise ValueError(f"a field has {len(text)} characters: {printable_line(text[:80])!r}...")
    component: RPMComponent = {
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
    # Task results are XML, which allows no control characters.
    printable = {key: printable_line(value) for key, value in details.items()}
    return InstalledRPM(component, {key: "" if value == "(none)" else value for key, value in printable.items()})


#: RPMs queried per request.
QUERIES_PER_CALL = 200


def unknown_rpms(session: HubSession, components: Sequence[RPMComponent]) -> set[int]:
    """Return the indexes of components that the hub does not know, or knows with another SIGMD5."""
    with session.multicall(batch=QUERIES_PER_CALL) as calls:
        queries = [
            calls.getRPM({key: component[key] for key in ("name", "version", "release", "arch")})
            for component in components
        ]
    return {
        number
        for number, (component, query) in enumerate(zip(components, queries))
        if not query.result or query.result["payloadhash"] != component["sigmd5"]
    }
