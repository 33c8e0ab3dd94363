# SPDX-License-Identifier: GPL-2.0-or-later
"""Download of the files in ``sources`` from the lookaside cache, verified by hash, with rpkg's own code.

rpkg uses libcurl, which handles no signals while it waits. It therefore runs in a separate program (``main`` of this
module) that can be stopped, has a deadline, and has a limit on what it writes.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fedpkg_container.distgit.safe_read import read_bytes
from fedpkg_container.engines.opening import check_directory
from fedpkg_container.engines.sandbox import connected, python_command, python_files
from fedpkg_container.engines.workspace import Workspace
from fedpkg_container.errors import BuildFailedError, ProgramError, ProgramTimeoutError
from fedpkg_container.image.config import Lookaside
from fedpkg_container.image.resolve.source import PROXY_VARIABLES
from fedpkg_container.model.limits import Deadline
from fedpkg_container.process import run
from fedpkg_container.redaction import host_and_path
from fedpkg_container.text import reason_text

_log = logging.getLogger(__name__)

SOURCES_FILE = "sources"
#: Limits per file: seconds, bytes and attempts.
DOWNLOAD_TIMEOUT = 1800.0
MAX_BYTES = 20 * 10**9
MAX_ATTEMPTS = 3
#: Number of hex digits of each hash type.
_HASH_LENGTHS = {"md5": 32, "sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128}


@dataclass(frozen=True)
class SourcesEntry:
    """A line of ``sources``.

    :param hash_type: in lower case
    """

    file: str
    hash: str
    hash_type: str


def read_sources(checkout: Path) -> list[SourcesEntry]:
    """Return the entries of ``sources``; empty if a checkout has none.

    :raises BuildFailedError: if the file cannot be read, an entry is invalid, or rpkg is not installed
    """
    if not (read_bytes(checkout, SOURCES_FILE) or b"").strip():
        return []  # builders of a site without a lookaside cache need no rpkg
    try:
        from pyrpkg.errors import rpkgError
        from pyrpkg.sources import SourcesFile
    except ModuleNotFoundError as error:
        raise BuildFailedError(
            f"cannot read {SOURCES_FILE}: {reason_text(error)}", solution="install rpkg on the builders of this site"
        ) from error
    try:
        entries = [
            SourcesEntry(entry.file, entry.hash, entry.hashtype)
            for entry in SourcesFile(str(checkout / SOURCES_FILE), "bsd").entries
        ]
    except (rpkgError, OSError, ValueError) as error:
        raise BuildFailedError(
            f"cannot read {SOURCES_FILE}: {reason_text(error)}", solution="create it again: fedpkg new-sources"
        ) from error
    for entry in entries:
        _check_entry(entry)
    return entries


def _check_entry(entry: SourcesEntry) -> None:
    valid_name = entry.file not in ("", ".", "..") and not re.search(r"[/\0\n]", entry.file)
    length = _HASH_LENGTHS.get(entry.hash_type, 0)
    if not valid_name or not length or not re.fullmatch(f"[0-9a-fA-F]{{{length}}}", entry.hash):
        raise BuildFailedError(
            f"{SOURCES_FILE} has an invalid entry: name or hash of {entry.file[:200]!r}",
            solution="create it again: fedpkg new-sources",
        )


def repository_name(source_url: str, *, namespaced: bool) -> str:
    """Return the name of a dist-git repository in the lookaside cache.

    :param source_url: dist-git URL, with or without a commit
    :param namespaced: include the namespace, e.g. ``container/hello-web``
    """
    path = urllib.parse.urlsplit(source_url).path.strip("/").removesuffix(".git")
    return "/".join(path.split("/")[-2:] if namespaced else path.split("/")[-1:])


def fetch_sources(
    checkout: Path,
    workspace: Workspace,
    source_url: str,
    lookaside: Lookaside | None,
    report: Callable[[str], None],
    tick: Callable[[], None] = lambda: None,
    deadline: Deadline | None = None,
) -> None:
    """Download the files in ``sources`` into a checkout.

    :param checkout: checkout directory
    :param workspace: of the worker that created the checkout
    :param source_url: dist-git URL of the checkout
    :param report: logs a line
    :param tick: called before each file, and every second during its download
    :param deadline: end of all downloads; None for only a timeout per file
    :raises BuildFailedError: if there is no lookaside cache, or a file is missing or does not match its hash
    """
    entries = read_sources(checkout)
    if entries and lookaside is None:
        raise BuildFailedError(
            f"{SOURCES_FILE} lists {entries[0].file}, but the builders of this site have no lookaside cache",
            solution="add the file to git, or contact the site administrators to set [lookaside] in"
            " builder_containerbuild.conf",
        )
    for entry in entries:
        if (checkout / entry.file).is_symlink() or (checkout / entry.file).exists():
            raise BuildFailedError(
                f"{entry.file} is both in git and in {SOURCES_FILE}", solution="remove it from one of the two"
            )
        assert lookaside is not None
        report(f"fetching {entry.file} from the lookaside cache")
        tick()
        name = repository_name(source_url, namespaced=lookaside.namespaced)
        file_deadline = Deadline(f"fetching {entry.file} from the lookaside cache", DOWNLOAD_TIMEOUT, "build again")
        _fetch_file(
            entry,
            name,
            checkout / entry.file,
            workspace,
            lookaside,
            tick,
            deadline.within(file_deadline) if deadline else file_deadline,
        )
        check_directory(checkout)
        host, _ = host_and_path(lookaside.url)
        _log.info("fetched %s of %s from %s (%s %s)", entry.file, name, host, entry.hash_type, entry.hash)


def _fetch_file(
    entry: SourcesEntry,
    name: str,
    target: Path,
    workspace: Workspace,
    lookaside: Lookaside,
    tick: Callable[[], None],
    deadline: Deadline,
) -> None:
    deadline.check()
    request = {
        "url": lookaside.url,
        "hash": lookaside.hash,
        "download": [name, entry.file, entry.hash.lower(), str(target), entry.hash_type],
    }
    program: list[str | Path] = ["prlimit", f"--fsize={MAX_BYTES}", "--core=0", "--"]
    program += [*python_command(), "-m", __name__]
    try:
        run(
            connected(program, workspace, readable=python_files(), variables=PROXY_VARIABLES),
            stdin=json.dumps(request).encode(),
            timeout=deadline.remaining,
            tick=tick,
        )
    except ProgramTimeoutError as error:
        raise deadline.failure() from error
    except ProgramError as error:
        output = error.output.strip().splitlines()
        raise BuildFailedError(
            f"cannot fetch {entry.file} from the lookaside cache: {output[-1] if output else error.reason}",
            solution=f"check that it was uploaded: fedpkg new-sources {entry.file}",
        ) from error


def main() -> None:
    """Download one file as requested on standard input; on failure, exit with status 1 and a line on standard error."""
    from pyrpkg.errors import rpkgError
    from pyrpkg.lookaside import CGILookasideCache

    request = json.load(sys.stdin)
    cache = CGILookasideCache(request["hash"], request["url"], "", attempts=MAX_ATTEMPTS, delay=2)
    name, file, digest, target, hashtype = request["download"]
    try:
        cache.download(name, file, digest, target, hashtype)
    except (rpkgError, OSError) as error:
        sys.exit(reason_text(error))


if __name__ == "__main__":
    main()
