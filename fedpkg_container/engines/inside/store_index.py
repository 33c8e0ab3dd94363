# SPDX-License-Identifier: GPL-2.0-or-later
"""Lists of the images and layers in a store (containers/storage), read as files.

Imported by the programs of a worker; it is separate from ``store.py``, because it imports fewer modules.
"""

from __future__ import annotations

import json
from typing import Any


def entries(store: str, kind: str, *names: str) -> list[dict[str, Any]]:
    """Return the images or layers of a store; empty if it has none.

    :param kind: ``images`` or ``layers``
    :param names: of the files that list them, without ``.json``
    """
    records: list[dict[str, Any]] = []
    for name in names:
        try:
            with open(f"{store}/overlay-{kind}/{name}.json") as file:
                records += json.load(file) or []
        except FileNotFoundError:
            continue
    return records
