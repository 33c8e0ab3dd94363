# SPDX-License-Identifier: GPL-2.0-or-later
"""The description of a check: what it requires and why, with an example that it reports and one that it does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Example:
    """Files, and commands that are typed in the checkout.

    :param files: name → content
    :param commands: command lines
    """

    files: Mapping[str, str] = field(default_factory=dict)
    commands: tuple[str, ...] = ()

    @property
    def parts(self) -> Iterator[tuple[str, str]]:
        """Its parts with their titles: each file, and the commands."""
        yield from self.files.items()
        if self.commands:
            yield "commands", _lines(self.commands)


@dataclass(frozen=True)
class Check:
    """A check.

    :param what: what is checked, as a statement that is true if there is no finding
    :param severity: usual severity of its findings
    :param why: reason, and what happens otherwise
    :param wrong: an example with the finding
    :param right: the same without it
    """

    what: str
    severity: str
    why: str
    wrong: Example
    right: Example


def _lines(lines: tuple[str, ...]) -> str:
    return "".join(f"{line}\n" for line in lines)


def files(**contents: tuple[str, ...]) -> Example:
    """Return an example of files; ``__`` in a name is a dot, as in ``container__yaml``."""
    return Example({name.replace("__", "."): _lines(lines) for name, lines in contents.items()})


def dockerfile(*lines: str, **others: tuple[str, ...]) -> Example:
    """Return an example of a Dockerfile and other files."""
    return files(Dockerfile=lines, **others)


def container_yaml(*lines: str) -> Example:
    """Return an example of container.yaml."""
    return files(container__yaml=lines)


def commands(*lines: str) -> Example:
    """Return an example of commands."""
    return Example(commands=lines)
