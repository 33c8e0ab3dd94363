# SPDX-License-Identifier: GPL-2.0-or-later
"""A composer for ruamel.yaml that stops as soon as a document exceeds the limits."""

from __future__ import annotations

from typing import Any

from ruamel.yaml.composer import Composer

from fedpkg_container.distgit.yaml_document import MAX_DEPTH, MAX_VALUES, LimitExceededError

#: Maximum number of nodes: a key and a value for each value, and the document.
MAX_NODES = 2 * MAX_VALUES + 1


class BoundedComposer(Composer):
    """Raises ``LimitExceededError`` at the first node beyond ``MAX_NODES`` or ``MAX_DEPTH``."""

    def __init__(self, loader: Any = None) -> None:
        super().__init__(loader=loader)
        self._nodes = 0
        self._levels = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Compose a node and those below it."""
        self._nodes += 1
        self._levels += 1
        if self._nodes > MAX_NODES or self._levels > MAX_DEPTH + 1:
            raise LimitExceededError
        node = super().compose_node(parent, index)
        self._levels -= 1
        return node
