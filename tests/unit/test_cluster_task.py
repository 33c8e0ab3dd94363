# SPDX-License-Identifier: GPL-2.0-or-later
"""``createContainer`` on a builder of a cluster: its weight, and whether the builder takes tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import koji.plugin
import pytest

from fedpkg_container.box.box import PLUGINS
from fedpkg_container.image.config import CONFIG_VARIABLE
from fedpkg_container.koji_plugins import container_task
from tests.support.cluster.scripted import spec


class _Session:
    """A hub with one task in a channel."""

    def getTaskInfo(self, _: int, **__: object) -> dict[str, Any]:
        return {"channel_id": 3, "owner": 1}

    def getChannel(self, _: int, **__: object) -> dict[str, str]:
        return {"name": "container-binary"}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The builder's site file."""
    path = tmp_path / "site.conf"
    monkeypatch.setenv(CONFIG_VARIABLE, str(path))
    return path


def _write(site: Path, text: str = "", kind: str = "kubernetes") -> None:
    site.write_text(
        f"[registry]\ncandidate = registry.example.org\n[engine]\nkind = {kind}\n[kubernetes]\nimage = x\n{text}"
    )


def _task(arch: str = "x86_64") -> Any:
    plugin = koji.plugin.PluginTracker().load("builder_containerbuild", path=str(PLUGINS / "builder"), reload=True)
    parameters = [spec(6, arch).pack()]
    return plugin.CreateContainerTask(7, "createContainer", parameters, _Session(), None, workdir="/nonexistent")


def test_the_weight(site: Path) -> None:
    _write(site)
    assert _task().weight() == 0.2
    _write(site, "arches = s390x\n")
    assert _task().weight() == 2.0
    assert _task("s390x").weight() == 0.2
    _write(site, "channels = other\n")
    assert _task().weight() == 2.0
    _write(site, kind="local")
    assert _task().weight() == 2.0
    site.write_text("invalid")
    assert _task().weight() == 2.0


def test_a_builder_without_the_client_declines(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(site)
    assert _task().checkHost({})
    monkeypatch.setattr(container_task, "find_spec", lambda _: None)
    assert not _task().checkHost({})
    _write(site, kind="local")
    assert _task().checkHost({})
