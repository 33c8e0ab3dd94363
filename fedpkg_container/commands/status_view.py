# SPDX-License-Identifier: GPL-2.0-or-later
"""Output of the views of ``container-status``: text, JSON, or lines of a template."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fedpkg_container.commands.status_fields import ENTRY_FIELDS
from fedpkg_container.commands.template import Template
from fedpkg_container.commands.terminal import print_json, print_lines, print_page

if TYPE_CHECKING:
    from fedpkg_container.client import Client
    from fedpkg_container.progress.look import Page


@dataclass(frozen=True)
class View:
    """The output of ``container-status`` for one argument, or without arguments.

    :param fields: its JSON
    :param entries: the builds and tasks in it, for templates
    :param lines: returns its text
    """

    fields: Mapping[str, object]
    entries: Sequence[Mapping[str, object]]
    lines: Callable[[Page], Sequence[str]]


def parse_format(client: Client) -> Template | None:
    """Return the template of ``--format``; None if there is none.

    :raises UsageError: if it is invalid
    """
    text = client.args.format
    return None if text is None else Template(text, ENTRY_FIELDS)


def show(client: Client, views: Sequence[View], template: Template | None) -> int:
    """Print views and return the exit status.

    :param template: of ``--format``
    """
    from fedpkg_container.progress.look import Page

    if client.args.json:
        fields = [view.fields for view in views]
        print_json(fields if len(fields) > 1 else fields[0])
    elif template is not None:
        print_lines(*(template.render(entry) for view in views for entry in view.entries))
    else:
        page = Page(sys.stdout)
        for number, view in enumerate(views):
            print_page([*([""] if number else []), *view.lines(page)])
    return 0
