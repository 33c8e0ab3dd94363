"""Yum repositories that RUN sees and no layer keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fedpkg_container.engines.buildah import Buildah, Mount
from fedpkg_container.image.log import BuildLog

#: Where images look for repositories.
REPOSITORIES = "etc/yum.repos.d"


@dataclass(frozen=True)
class Repositories:
    """Puts repositories over the folder where images look for them.

    They are mounted over a folder that the base has, so that nothing of them stays in a layer.

    :param folder: for files of this build
    """

    engine: Buildah
    folder: Path
    log: BuildLog

    def mounts(self, base: str, *, folders: Mapping[str, Path], files: Mapping[str, str] | None = None) -> list[Mount]:
        """What to mount.

        :param base: image ID of the base; empty for none
        :param folders: repositories of this machine, by name
        :param files: texts of .repo files, by name
        """
        if not folders and not files:
            return []
        if not base or not self._has_repositories(base):
            self.log.say(f"the base image has no /{REPOSITORIES}: RUN gets no repositories")
            return []
        made = self.folder / "repositories"
        made.mkdir()
        for name in folders:
            (made / name).mkdir()
            (made / f"{name}.repo").write_text(
                f"[{name}]\nname=repository of the {name.replace('-', ' ')}\n"
                f"baseurl=file:///{REPOSITORIES}/{name}\nenabled=1\ngpgcheck=0\n"
            )
        for name, text in (files or {}).items():
            (made / f"{name}.repo").write_text(text)
        inner = [Mount(path, f"/{REPOSITORIES}/{name}") for name, path in folders.items()]
        return [Mount(made, f"/{REPOSITORIES}"), *inner]

    def _has_repositories(self, base: str) -> bool:
        with self.engine.mounted(base) as root:
            path = root / REPOSITORIES
            return path.is_dir() and path.resolve() == root.resolve() / REPOSITORIES
