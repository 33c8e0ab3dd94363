# SPDX-License-Identifier: GPL-2.0-or-later
"""Generate the table of keys in docs/reference/container-yaml.md: ``python docs/make_container_yaml.py``."""

from __future__ import annotations

from pathlib import Path

from fedpkg_container.distgit.container_yaml_keys import KEYS

PAGE = Path(__file__).parent / "reference" / "container-yaml.md"
START, END = "| key | value | meaning | effect |\n| --- | --- | --- | --- |\n", "\nA file can have only one of"


def page() -> str:
    """Return the text of the page with the current table."""
    before, _, rest = PAGE.read_text().partition(START)
    after = rest[rest.index(END) :]
    rows = []
    for key in KEYS:
        effect = f"{key.effect.value}: {key.reason}" if key.reason else key.effect.value
        rows.append(f"| `{key.name}` | {key.values} | {key.meaning} | {effect} |\n")
    return f"{before}{START}{''.join(rows)}{after}"


if __name__ == "__main__":
    PAGE.write_text(page())
