# SPDX-License-Identifier: GPL-2.0-or-later
"""The values for completion are updated from the hub after a command that has logged in."""

from __future__ import annotations

import json
from pathlib import Path

from fedpkg_container.box.box import Box
from fedpkg_container.box.demo import site
from tests.support.leftovers import eventually
from tests.support.packager import Packager


def test_values_are_updated_after_a_submission(small_box: Box, tmp_path: Path) -> None:
    packager = Packager.make(small_box, tmp_path)
    packager.commit(packager.dockerfile("RUN true"))
    done = packager.build("--nowait", env={"XDG_CACHE_HOME": str(tmp_path / "cache")})
    assert done.returncode == 0, done.stderr
    eventually(lambda: any(tmp_path.rglob("hub.json")), lambda: list(tmp_path.rglob("cache/**/*")))
    (path,) = tmp_path.rglob("hub.json")
    values = json.loads(path.read_text())
    assert site.TARGET in values["targets"]
    assert (values["user"], len(values["tasks"])) == ("packager", 1)
    packager.cancel_builds()
