# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of all unit tests."""

from __future__ import annotations

from tests.support.system_trust import system_trust

__all__ = ["system_trust"]
