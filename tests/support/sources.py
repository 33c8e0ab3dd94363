# SPDX-License-Identifier: GPL-2.0-or-later
"""Sources parsed by koji's SCM, of kinds unknown to it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any


def scm(scheme: str, host: str, repository: str, revision: str) -> Any:
    """A source."""
    url = f"{scheme}{host}{repository}#{revision}"
    parts = {"scheme": scheme, "user": None, "host": host, "repository": repository, "module": "", "revision": revision}
    return SimpleNamespace(url=url, **parts)
