# SPDX-License-Identifier: GPL-2.0-or-later
"""Prints the table of docs/internals/hub-methods.md: ``python -m fedpkg_container.box.hub.methods``."""

from __future__ import annotations

from fedpkg_container.box.hub import calls
from fedpkg_container.box.hub.dispatch import CALLS


def table() -> str:
    """All calls of the hub except plugins' calls, with their callers, as a Markdown table."""
    calls.load()
    client_calls = [call for call in CALLS.values() if not call.used_by.startswith("plugin ")]
    rows = [f"| `{call.name}` | {call.used_by} |" for call in sorted(client_calls, key=lambda call: call.name.lower())]
    return "\n".join(["| Call | Made by |", "| --- | --- |", *rows])


if __name__ == "__main__":
    print(table())
