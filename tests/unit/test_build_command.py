# SPDX-License-Identifier: GPL-2.0-or-later
"""``container-build`` without a hub: notes and log of a request that is not submitted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.checkout import LocalCheckout

pytestmark = pytest.mark.programs


def test_request_of_another_release(tmp_path: Path) -> None:
    checkout = LocalCheckout.make(tmp_path)
    done = checkout.run("-v", "--release", "f42", "container-build", "--dry-run", "--offline")
    assert done.returncode == 0, done.stderr
    note = "note: --release f42: the build fails if branch f42 does not contain this commit"
    assert note in done.stderr.splitlines()
    assert "build_checks: build request: " in done.stderr
