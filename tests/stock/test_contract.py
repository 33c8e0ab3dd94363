# SPDX-License-Identifier: GPL-2.0-or-later
"""The contract tests, run against a stock hub."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from fedpkg_container.box.layout import ADMIN, PACKAGER, Layout
from tests.stock.box import StockBox
from tests.stock.source import PROJECT, KojiSource

POLICIES = PROJECT / "tests" / "contract" / "policy.conf"
#: Seconds for all of them.
TIMEOUT = 280


@pytest.fixture
def hub(source: KojiSource, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StockBox]:
    """A hub with our plugin, and a builder whose daemon does not run."""
    made = StockBox(Layout.open(tmp_path_factory.mktemp("contract") / "box"), source)
    if POLICIES.exists():
        made.add_hub_configuration(POLICIES)
    try:
        made.up_without_builders()
        yield made
    finally:
        made.down()


def test_the_hub_keeps_the_contract(hub: StockBox) -> None:
    variables = {
        "CONTRACT_HUB_URL": hub.layout.hub_url,
        "CONTRACT_HUB_LEVEL": hub.source.level,
        "CONTRACT_HUB_CA": str(hub.authority.certificate_path),
        "CONTRACT_HUB_ADMIN": str(hub.credentials(ADMIN)),
        "CONTRACT_HUB_PACKAGER": str(hub.credentials(PACKAGER)),
        "CONTRACT_HUB_HOST": str(hub.credentials(hub.layout.builders[0])),
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--no-header", "--tb=short", "tests/contract"],
        cwd=PROJECT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20000:]
