# SPDX-License-Identifier: GPL-2.0-or-later
"""Shared argument types of the commands (directories, numbers, sizes), and completion of their values."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedpkg_container.completion.values import is_safe
from fedpkg_container.registry.config_path import journal_path, target_names
from fedpkg_container.settings import parse_size

if TYPE_CHECKING:
    from fedpkg_container.registry.redirects.settings import Address

_DURATION = re.compile(r"(?P<number>[0-9]{1,7})(?P<unit>[smhd]?)", re.ASCII)
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DAYS = re.compile(r"[0-9]{1,5}(\.[0-9]{1,6})?", re.ASCII)
#: Bytes read from the end of the promotion journal for completion: several hundred promotions.
JOURNAL_TAIL = 2**18


def directory(text: str) -> Path:
    """Parse a directory; an empty string, e.g. of an unset variable, is not the current directory."""
    if not text:
        raise argparse.ArgumentTypeError("must be a directory, not an empty string")
    return Path(text)


def whole_number(what: str, digits: int) -> Callable[[str], int]:
    """Return the type of a number of things, 1 or more.

    :param what: the things, in messages
    :param digits: maximum length
    """

    def parse(text: str) -> int:
        number = int(text) if text.isascii() and text.isdigit() and len(text) <= digits else 0
        if number < 1:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number of {what}, 1 or more")
        return number

    return parse


def days(text: str) -> float:
    """Parse a number of days with fractions, less than a hundred years."""
    if not _DAYS.fullmatch(text) or float(text) >= 36500:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of days, e.g. 7 or 0.5")
    return float(text)


def duration(text: str) -> int:
    """Parse a time in seconds, or in another unit."""
    match = _DURATION.fullmatch(text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time, e.g. 90 (seconds), 30m or 2h")
    return int(match["number"]) * _UNITS[match["unit"]]


def mirror_url(text: str) -> Address:
    """Parse the base URL of a mirror."""
    from fedpkg_container.registry.redirects.settings import Address

    try:
        return Address.parse(text)
    except ValueError as error:
        shown = re.sub("//.*@", "//…@", text)  # hide a password
        raise argparse.ArgumentTypeError(f"{shown!r} {error}") from None


def parallel(text: str) -> int:
    """Parse a number of concurrent requests."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 0
    if not 1 <= number <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 100")
    return number


def size(text: str) -> int:
    """Parse a number of bytes."""
    number = parse_size(text)
    if number is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size, e.g. 500K or 20M")
    return number


def add_target(parser: argparse.ArgumentParser) -> None:
    """Add ``--to``."""
    complete_targets(
        parser.add_argument("--to", default="stable", metavar="NAME", help="target section (default: stable)")
    )


def add_koji_tag(parser: argparse._ActionsContainer, *, help: str) -> None:  # noqa: A002
    """Add ``--koji-tag``, and its old name ``--tag``, which is deprecated; read them with ``koji_tag``."""
    parser.add_argument("--koji-tag", default="", metavar="TAG", help=help)
    parser.add_argument("--tag", default="", dest="deprecated_tag", help=argparse.SUPPRESS)


def koji_tag(arguments: argparse.Namespace) -> str:
    """Return the value of ``--koji-tag``; warn if its old name was used."""
    from fedpkg_container.commands.terminal import print_stderr

    if arguments.deprecated_tag:
        print_stderr("warning: --tag is deprecated; use --koji-tag instead")
    return str(arguments.koji_tag or arguments.deprecated_tag)


def complete_targets(action: argparse.Action) -> None:
    """Complete the names of targets."""
    action.completer = _complete_targets  # type: ignore[attr-defined]


def complete_files(action: argparse.Action) -> None:
    """Complete file names, for an argument whose type does not imply that."""

    def files(**what: Any) -> Any:
        from argcomplete.completers import FilesCompleter

        return FilesCompleter()(**what)

    action.completer = files  # type: ignore[attr-defined]


def complete_promoted(action: argparse.Action) -> None:
    """Complete the builds in the target according to the promotion journal."""
    action.completer = _complete_promoted  # type: ignore[attr-defined]


def _file(parsed_args: argparse.Namespace) -> Path | None:
    """Return the file given by ``--config``, if any."""
    named = getattr(parsed_args, "config", None)
    return named if isinstance(named, Path) else None


def _complete_targets(*, parsed_args: argparse.Namespace, **_: object) -> list[str]:
    """Return the targets in the site's configuration."""
    return [target_name for target_name in target_names(_file(parsed_args)) if is_safe(target_name)]


def _complete_promoted(*, parsed_args: argparse.Namespace, **_: object) -> dict[str, str]:
    """Return the builds at the end of the journal, with the times when they were promoted or staged."""
    from fedpkg_container.registry.promotion.journal_entry import DONE, PROMOTE, STAGE, JournalEntry

    promoted: dict[str, str] = {}
    for line in _journal_tail(journal_path(_file(parsed_args))).split(b"\n"):
        with suppress(ValueError):  # invalid lines, including an incomplete first one
            entry = JournalEntry.read(line)
            if entry.target != parsed_args.to:
                continue
            if entry.what == PROMOTE:
                promoted[entry.nvr] = f"promoted {entry.time}"
            elif entry.what == STAGE:
                promoted.setdefault(entry.nvr, f"staged {entry.time}")
            elif entry.state == DONE and entry.deleted:
                promoted.pop(entry.nvr, None)
    return {nvr: when for nvr, when in promoted.items() if is_safe(nvr) and is_safe(when)}


def _journal_tail(path: Path | None) -> bytes:
    """Return the end of the journal, of which the current file may have been started recently."""
    from fedpkg_container.registry.promotion.journal_files import JournalFiles

    if path is None:
        return b""
    files = JournalFiles(path)
    earlier = _tail(files.earlier(files.last - 1))
    return (earlier + _tail(path))[-JOURNAL_TAIL:]


def _tail(path: Path) -> bytes:
    """Return the end of a file; empty if it cannot be read."""
    try:
        with path.open("rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - JOURNAL_TAIL, 0))
            return file.read(JOURNAL_TAIL)
    except OSError:
        return b""
