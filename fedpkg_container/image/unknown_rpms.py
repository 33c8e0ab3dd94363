"""RPMs of an image that Koji does not know.

An import drops them from the list of components, with a line in the hub's log alone (``CG_Importer.match_rpm`` in
kojihub.py, 1.34 to 1.36): it looks for name, version, release and arch. One whose SIGMD5 differs it keeps, although it
is another RPM.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

#: How many are asked for in one request.
BATCH = 200


def unknown_rpms(session: Any, components: Sequence[dict[str, Any]]) -> set[int]:
    """Numbers of the components that the hub does not know, or knows under another SIGMD5."""
    with session.multicall(batch=BATCH) as calls:
        found = [
            calls.getRPM({key: each[key] for key in ("name", "version", "release", "arch")}) for each in components
        ]
    return {
        number
        for number, (each, answer) in enumerate(zip(components, found))
        if not answer.result or answer.result["payloadhash"] != each["sigmd5"]
    }
