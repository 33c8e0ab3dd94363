# SPDX-License-Identifier: GPL-2.0-or-later
"""The page of a check, as text for terminals and as Markdown."""

from __future__ import annotations

import textwrap

from fedpkg_container.model.checks.check import Check

#: Characters per line of prose in a terminal, and in Markdown.
_TERMINAL, _MARKDOWN = 80, 120


def as_text(code: str, check: Check) -> str:
    """Return the page for a terminal, without colors."""
    heading = f"{code} ({check.severity}): {check.what}"
    parts = [_wrap(text, _TERMINAL) for text in (heading, check.why)]
    for title, example in (("Wrong", check.wrong), ("Right", check.right)):
        blocks = (f"  {name}:\n{textwrap.indent(content, '    ')}" for name, content in example.parts)
        parts.append("\n".join([f"{title}:", *blocks]).rstrip("\n"))
    return "\n\n".join(parts)


def as_markdown(check: Check) -> str:
    """Return the reason and the examples; the heading is the caller's."""
    blocks = [
        f"{title}, {name}:\n\n```\n{content}```\n"
        for title, example in (("Wrong", check.wrong), ("Right", check.right))
        for name, content in example.parts
    ]
    return "\n".join([_wrap(check.why, _MARKDOWN), "", *blocks])


def _wrap(text: str, width: int) -> str:
    """Return prose in lines of at most ``width`` characters; names with hyphens are not divided."""
    return "\n".join(textwrap.wrap(text, width, break_on_hyphens=False))
