# SPDX-License-Identifier: GPL-2.0-or-later
"""Recovery as docs/howto/release-engineer.md describes it: of a lost registry, and of a lost journal."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fedpkg_container.registry.config import DistributionSite
from fedpkg_container.registry.promotion.journal import Journal
from fedpkg_container.registry.promotion.journal_files import JournalFiles
from fedpkg_container.registry.promotion.tagging import TagRules
from tests.support.hubs import Hub
from tests.support.waiting import PATIENCE

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "release-engineer.md"
MakeHub = Callable[..., Hub]


def _moved(site: DistributionSite, other: DistributionSite) -> DistributionSite:
    """A site whose target is the empty registry of another one; its repositories are in the journal under its name."""
    targets = {name: replace(target, registry=other.targets[name].registry) for name, target in site.targets.items()}
    assert site.journal
    old, new = site.targets["stable"].registry, other.targets["stable"].registry
    site.journal.write_text(site.journal.read_text().replace(old, new))
    return replace(site, targets=targets)


@pytest.mark.programs
@pytest.mark.skipif(shutil.which("jq") is None, reason="needs jq")
def test_lost_stable_registry(make_hub: MakeHub, tmp_path: Path) -> None:
    hub = make_hub("zot")
    builds = {nvr: hub.bench.build(nvr) for nvr in ("hello-1.0-1", "hello-1.0-2", "hello-1.0-3")}
    for build in builds.values():
        assert hub.bench.promote(build)[0].succeeded
    hub.bench.unpromote("hello-1.0-3", delete=True)
    before = hub.bench.tags(builds["hello-1.0-2"])
    hub.bench.site = _moved(hub.bench.site, make_hub("zot").bench.site)
    assert hub.bench.tags(builds["hello-1.0-2"]) == {}
    script = re.search(r"^ +(cat \$\(ls .*?) > builds$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert script
    JournalFiles(tmp_path / "promotions.jsonl").rotate()
    (tmp_path / "promotions.jsonl").touch()
    done = subprocess.run(
        ["sh", "-c", script[1]], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert done.stdout.split() == ["hello-1.0-1", "hello-1.0-2"]
    results = hub.bench.promote(*(builds[nvr] for nvr in done.stdout.split()))
    assert [result.error for result in results] == ["", ""]
    assert hub.bench.tags(builds["hello-1.0-2"]) == before


def test_lost_journal(make_hub: MakeHub) -> None:
    hub = make_hub("zot")
    old, new = (hub.bench.build(nvr) for nvr in ("hello-1.0-1", "hello-1.0-2"))
    hub.bench.promote(old)
    hub.bench.promote(new)
    assert hub.bench.site.journal
    for path in hub.bench.site.journal.parent.glob("promotions.jsonl*"):
        path.unlink()
    before = hub.bench.tags(new)
    (result,) = hub.bench.promote(new)
    assert (result.succeeded, result.manifests, result.blobs.sent) == (True, [], 0)
    assert [entry.nvr for entry in Journal(hub.bench.site.journal).entries()] == ["hello-1.0-2"] * 2
    (refused,) = hub.bench.unpromote("hello-1.0-1")
    assert "was not promoted to stable according to" in refused.error
    (stuck,) = hub.bench.unpromote("hello-1.0-2")
    assert "there is no previous build" in stuck.error
    assert hub.bench.tags(new) == before
    (back,) = hub.bench.promote(old, rules=TagRules(downgrade=True))
    assert back.succeeded
    assert hub.bench.tags(new)["latest"] == old.image.digest
