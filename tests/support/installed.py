# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests that need a newer version of a dependency than the oldest that is allowed (``make check-oldest``)."""

from __future__ import annotations

from importlib.metadata import version

import pytest
from packaging.version import Version


def require(package: str, oldest: str) -> None:
    """Skip the test if the installed version of a package is older."""
    if Version(version(package)) < Version(oldest):
        pytest.skip(f"requires {package} {oldest} or newer")
