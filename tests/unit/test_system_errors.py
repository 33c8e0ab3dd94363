# SPDX-License-Identifier: GPL-2.0-or-later
"""No message of a system error contains its number (``[Errno 13]``): the source formats them with ``text.py``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import fedpkg_container

_ROOT = Path(fedpkg_container.__file__).parent
#: Programs in a worker that have only the standard library, faults of the hub of the box, which are those of Koji, and
#: the messages of urllib3, whose cause is extracted (``registry/response.py``).
_OTHERS = ("engines/inside", "box/hub", "registry/response.py", "registry/session.py")


def _catches(handler: ast.ExceptHandler, name: str) -> bool:
    return any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(handler.type or handler))


def _raw(handler: ast.ExceptHandler) -> Iterator[int]:
    """Yield the lines of a handler where the error is formatted as it is."""
    for node in ast.walk(handler):
        if isinstance(node, ast.FormattedValue):
            value: ast.expr = node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "str" and node.args:
            value = node.args[0]
        else:
            continue
        if isinstance(value, ast.Name) and value.id == handler.name:
            yield node.lineno


def test_system_errors_are_formatted() -> None:
    found = []
    for path in sorted(_ROOT.rglob("*.py")):
        name = path.relative_to(_ROOT).as_posix()
        if name.startswith(_OTHERS):
            continue
        text = path.read_text()
        for node in ast.walk(ast.parse(text)) if "OSError" in text else ():
            if isinstance(node, ast.ExceptHandler) and node.type is not None and _catches(node, "OSError"):
                found += [f"{name}:{line}" for line in _raw(node)]
    assert found == []
