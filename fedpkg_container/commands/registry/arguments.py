"""Arguments that several commands share: targets, numbers, sizes and directories, and their completion."""

from __future__ import annotations

import argparse
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from fedpkg_container.completion.values import is_safe
from fedpkg_container.registry.config_path import record_path, target_names
from fedpkg_container.settings import parse_size

_DAYS = re.compile(r"[0-9]{1,5}(\.[0-9]{1,6})?", re.ASCII)


def folder(text: str) -> Path:
    """A folder; not the one in which somebody happens to be, because a variable is empty."""
    if not text:
        raise argparse.ArgumentTypeError("it is empty, and not the name of a folder")
    return Path(text)


def whole_days(text: str) -> int:
    """One day, or more."""
    days = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
    if days < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of days, 1 or more")
    return days


def days(text: str) -> float:
    """Days and parts of days, from none to a hundred years."""
    if not _DAYS.fullmatch(text) or float(text) >= 36500:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of days, such as 7 or 0.5")
    return float(text)


def parallel(text: str) -> int:
    """How much is done at the same time."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 0
    if not 1 <= number <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 100")
    return number


def size(text: str) -> int:
    """Bytes."""
    found = parse_size(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size, such as 500K or 20M")
    return found


#: Bytes of the record's end that are looked through: some hundred promotions.
RECORD_READ = 2**18


def add_target(parser: argparse.ArgumentParser) -> None:
    """Add ``--to``."""
    complete_targets(parser.add_argument("--to", default="stable", metavar="NAME", help="the target (default: stable)"))


def complete_targets(action: argparse.Action) -> None:
    """Have a TAB offer the names of targets."""
    action.completer = _offered  # type: ignore[attr-defined]


def complete_files(action: argparse.Action) -> None:
    """Have a TAB offer files, for what may be one and has no type that says so."""

    def files(**what: Any) -> Any:
        from argcomplete.completers import FilesCompleter

        return FilesCompleter()(**what)

    action.completer = files  # type: ignore[attr-defined]


def complete_promoted(action: argparse.Action) -> None:
    """Have a TAB offer the builds that the site's record says are in the target."""
    action.completer = _promoted  # type: ignore[attr-defined]


def _file(parsed_args: argparse.Namespace) -> Path | None:
    """The file that ``--config`` names on the line, if any does."""
    named = getattr(parsed_args, "config", None)
    return named if isinstance(named, Path) else None


def _offered(*, parsed_args: argparse.Namespace, **_: object) -> list[str]:
    """The targets of the site's file."""
    return [each for each in target_names(_file(parsed_args)) if is_safe(each)]


def _promoted(*, parsed_args: argparse.Namespace, **_: object) -> dict[str, str]:
    """The builds of the record's end, each with when it was promoted."""
    from fedpkg_container.registry.promotion.journal import DONE, PROMOTE, Entry

    found: dict[str, str] = {}
    for line in _end(record_path(_file(parsed_args))).split(b"\n"):
        with suppress(ValueError):  # what is no line, the first half of one included
            entry = Entry.read(line)
            if entry.target != parsed_args.to:
                continue
            if entry.what == PROMOTE:
                found[entry.nvr] = f"promoted {entry.time}"
            elif entry.state == DONE and entry.deleted:
                found.pop(entry.nvr, None)
    return {nvr: when for nvr, when in found.items() if is_safe(nvr) and is_safe(when)}


def _end(path: Path | None) -> bytes:
    """As much of a file's end as a TAB has time for; nothing where it cannot be read."""
    try:
        with (path or Path(os.devnull)).open("rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - RECORD_READ, 0))
            return file.read(RECORD_READ)
    except OSError:
        return b""
