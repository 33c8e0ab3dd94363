# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands of docs/howto/site.md, so that what is written there is what is run here."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

SITE = Path(__file__).parents[2] / "docs" / "howto" / "site.md"
#: The section whose commands set up a hub.
HEADING = "### Accounts, channel, tags"


def koji_commands(names: Mapping[str, str]) -> list[list[str]]:
    """The arguments of the ``koji`` commands that set up a hub, in their order.

    :param names: names of the documentation → those to use
    """
    _, _, after = SITE.read_text().partition(f"{HEADING}\n")
    section = re.split(r"^#+ ", after, maxsplit=1, flags=re.MULTILINE)[0]
    lines = [line.strip() for line in section.splitlines() if line.strip().startswith("koji ")]
    assert lines, f"{SITE} has no commands below {HEADING!r}"
    for written, used in names.items():
        assert any(written in line for line in lines), f"{SITE} does not name {written}"
        lines = [line.replace(written, used) for line in lines]
    return [shlex.split(line, comments=True)[1:] for line in lines]
