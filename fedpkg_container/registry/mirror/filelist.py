"""The list of files by which MirrorManager and quick-fedora-mirror see what has changed without walking the tree.

Its form is version 2 of ``fullfiletimelist-<module>`` (quick-fedora-mirror's create-filelist; MirrorManager's
update-master-directory-list reads the first four columns of ``[Files]``): time, kind, bytes and path, between tabs.
The time is the later one of the last change of the content and of the inode, so that a new name of an old file counts
as new. No checksums are listed: a blob's name is its digest.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from fedpkg_container.registry.mirror.tree import publish

_NAME = "fullfiletimelist-"


def write(folder: Path, aside: Path) -> bool:
    """Write the list of a tree, named after its folder, unless it says already what is there; whether it was written.

    :param aside: a folder on the same file system
    :raises OSError: it cannot be written
    """
    path = folder / f"{_NAME}{folder.resolve().name}"
    text = "[Version]\n2\n\n[Files]\n" + "".join(_lines(folder)) + "\n[Checksums SHA1]\n\n[End]\n"
    if path.exists() and path.read_text() == text:
        return False
    publish(text, path, aside)
    return True


def _lines(folder: Path) -> Iterator[str]:
    """A line for each file and folder, in the order of their paths; none for what is hidden, and none for lists."""
    for path, facts in sorted(_walk(str(folder), "")):
        kind = "d" if stat.S_ISDIR(facts.st_mode) else "f"
        readable = facts.st_mode & (0o005 if kind == "d" else 0o004)
        changed = int(max(facts.st_mtime, facts.st_ctime))
        yield f"{changed}\t{kind}{'' if readable else '-'}\t{facts.st_size}\t{path}\n"


def _walk(folder: str, below: str) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name.startswith(_NAME) or not entry.name.isprintable():
                continue
            facts, path = entry.stat(follow_symlinks=False), below + entry.name
            if stat.S_ISDIR(facts.st_mode):
                yield path, facts
                yield from _walk(entry.path, f"{path}/")
            elif stat.S_ISREG(facts.st_mode):
                yield path, facts
