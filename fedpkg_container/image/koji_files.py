"""Koji's files as a builder sees them: the topdir, which is mounted, and its address."""

from __future__ import annotations

import io
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path

from fedpkg_container.image.repo_files import parse
from fedpkg_container.image.repositories import address


@dataclass(frozen=True)
class LocalRepoFile:
    """A .repo file, pointed at folders of this machine.

    :param text: to be given to RUN
    :param folders: of this machine, by the name under which ``text`` expects them
    :param complete: whether everything in it is on this machine, so that no network is needed
    """

    text: str
    folders: dict[str, Path] = field(default_factory=dict)
    complete: bool = False


@dataclass(frozen=True)
class KojiFiles:
    """Koji's files.

    :param topdir: where they are mounted
    :param topurl: the address of the same; empty where builders know none
    """

    topdir: Path
    topurl: str = ""

    def localize(self, name: str, text: str, arch: str) -> LocalRepoFile:
        """Point the repositories of a .repo file that Koji itself serves at its topdir.

        :param name: of the file, which names of folders begin with
        :param arch: Koji's name
        """
        parser = parse(text)
        folders: dict[str, Path] = {}
        for number, section in enumerate(parser.sections()):
            path = self._local(parser[section].get("baseurl", ""), arch)
            if path is not None:
                folder = f"{name}-{number}"
                folders[folder] = path
                parser[section]["baseurl"] = address(folder, path)
                for other in ("mirrorlist", "metalink"):
                    parser.remove_option(section, other)
        out = io.StringIO()
        parser.write(out, space_around_delimiters=False)
        return LocalRepoFile(out.getvalue(), folders, complete=len(folders) == len(parser.sections()))

    def _local(self, url: str, arch: str) -> Path | None:
        """The folder of a repository, when it is below the topdir."""
        url, top = url.strip().replace("$basearch", arch).replace("$arch", arch), self.topurl.rstrip("/")
        if not top or not url.startswith(f"{top}/"):
            return None
        try:
            path = (self.topdir / urllib.parse.unquote(url[len(top) + 1 :])).resolve(strict=True)
        except (OSError, ValueError):
            return None
        within = path.is_relative_to(self.topdir.resolve())
        return path if within and (path / "repodata" / "repomd.xml").is_file() else None
