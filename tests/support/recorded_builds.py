# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds recorded on a hub without being built: imports of a content generator, in Koji tags."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedpkg_container.model.koji_images import Candidate
from tests.contract.images import ImageImporter
from tests.contract.support import HubAccess, log_in, new_name, unauthenticated
from tests.support.box_hub import RunningHub


@dataclass
class Recorder:
    """Records builds on a hub, as its administrator."""

    hub: RunningHub
    _session: Any = None
    _importer: ImageImporter | None = None
    _tags: set[str] = field(default_factory=set)

    @property
    def session(self) -> Any:
        """Administrator session."""
        if self._session is None:
            access = HubAccess(self.hub.url, self.hub.ca, self.hub.admin, self.hub.packager, self.hub.host)
            self._session = unauthenticated(access)
            log_in(self._session, access, access.admin)
        return self._session

    def record(self, candidate: Candidate, **image: Any) -> str:
        """Record a build in its tags; return its NVR.

        :param image: its further metadata
        """
        nvr = candidate.nvr
        if self._importer is None:
            generator, user = new_name("cg"), self.session.getLoggedInUser()["name"]
            self.session.grantCGAccess(user, generator, create=True)
            self._importer = ImageImporter(self.session, generator)
        pull = [str(candidate.image.tagged(f"{nvr.version}-{nvr.release}")), str(candidate.image)]
        index = {"pull": pull, "tags": [], "floating_tags": list(candidate.floating)}
        parents = {str(each): {"id": 1, "nvr": "base-1-1"} for each in candidate.parents}
        extra = {"image": {"index": index, "parent_image_builds": parents, **image}}
        named = {"name": nvr.name, "version": nvr.version, "release": nvr.release}
        outputs = self._importer.outputs(f"{nvr.name}-{nvr.release}")
        metadata = self._importer.metadata("1", outputs, extra=extra)
        metadata["build"].update(named)
        self.session.CGImport(metadata, self._importer.directory, None)
        for tag in candidate.koji_tags:
            self.tag(str(nvr), tag)
        return str(nvr)

    def tag(self, nvr: str, tag: str) -> None:
        """Tag a build; create the tag if necessary."""
        if tag not in self._tags and self.session.getTag(tag) is None:
            self.session.createTag(tag)
        self._tags.add(tag)
        self.session.packageListAdd(tag, nvr.rsplit("-", 2)[0], owner=self.session.getLoggedInUser()["name"])
        self.session.tagBuildBypass(tag, nvr)


def environment(hub: RunningHub, home: Path) -> Mapping[str, str]:
    """The environment of a user whose koji profile ``box`` is that hub."""
    (home / ".koji").mkdir(parents=True, exist_ok=True)
    (home / ".koji" / "config").write_text(f"[box]\nserver = {hub.url}\nserverca = {hub.ca}\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "KOJI", "REGISTRY_"))}
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '/usr/bin:/bin')}"
    return {**kept, "HOME": str(home), "PATH": path}
