# SPDX-License-Identifier: GPL-2.0-or-later
"""Package, branch and remote branches of a checkout, read from the files in ``.git`` without running git."""

from __future__ import annotations

import os

#: Bytes that are read of each file, so that completion stays fast.
MAX_BYTES = 8 * 1024 * 1024


class Checkout:
    """The properties of a dist-git checkout that completion needs; unknown ones are empty.

    :param path: directory in the checkout
    """

    def __init__(self, path: str) -> None:
        self._git = _git_directory(os.path.abspath(path))
        # A linked worktree has its own HEAD, but the branches and configuration of the main worktree.
        common = _read(os.path.join(self._git, "commondir")).strip() if self._git else ""
        self._common = os.path.join(self._git, common) if common else self._git
        self._settings = _settings(_read(os.path.join(self._common, "config"))) if self._common else {}
        head = _read(os.path.join(self._git, "HEAD")).strip() if self._git else ""
        self.branch = head[len("ref: refs/heads/") :] if head.startswith("ref: refs/heads/") else ""
        self.remote = self._settings.get(f'branch "{self.branch}".remote', "origin")
        merge = self._settings.get(f'branch "{self.branch}".merge', "")
        #: Upstream branch in dist-git; by default the one with the same name.
        self.upstream = merge[len("refs/heads/") :] if merge.startswith("refs/heads/") else self.branch
        self.namespace, self.name = self._repository()

    def _repository(self) -> tuple[str, str]:
        section = f'remote "{self.remote}"'
        url = self._settings.get(f"{section}.pushurl") or self._settings.get(f"{section}.url", "")
        parts = [part for part in url.split("://")[-1].replace(":", "/").split("/") if part]
        name = parts[-1] if parts else ""
        return (parts[-2] if len(parts) > 2 else ""), name[:-4] if name.endswith(".git") else name

    @property
    def component(self) -> str:
        """The package name in Koji, which ends in ``-container`` for containers."""
        if self.namespace in ("container", "containers", "docker") and not self.name.endswith("-container"):
            return f"{self.name}-container" if self.name else ""
        return self.name

    @property
    def target(self) -> str:
        """The build target that rpkg uses for this branch."""
        if not self.upstream or not self.name:
            return ""
        middle = "" if self.namespace in ("", "rpms") else f"-{self.namespace}"
        return f"{self.upstream}{middle}-candidate"

    def branches(self) -> list[str]:
        """Return the branches of the remote that have been fetched."""
        if not self._common:
            return []
        prefix = f"refs/remotes/{self.remote}/"
        branches = set(_relative_files(os.path.join(self._common, *prefix.split("/"))))
        for line in _read(os.path.join(self._common, "packed-refs")).splitlines():
            name = line.partition(" ")[2]
            if name.startswith(prefix):
                branches.add(name[len(prefix) :])
        return sorted(branches - {"HEAD"})


def _git_directory(path: str) -> str:
    """Return the ``.git`` directory of a path in a worktree; empty if there is none."""
    while True:
        git = os.path.join(path, ".git")
        if os.path.isdir(git):
            return git
        if os.path.isfile(git):
            line = _read(git).strip()
            return os.path.join(path, line[len("gitdir: ") :]) if line.startswith("gitdir: ") else ""
        parent = os.path.dirname(path)
        if parent == path:
            return ""
        path = parent


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(MAX_BYTES)
    except OSError:
        return ""


def _settings(text: str) -> dict[str, str]:
    """Parse a git configuration into keys such as ``remote "origin".url``; ignore includes and continuation lines."""
    settings: dict[str, str] = {}
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = line[1:].partition("]")[0]
        elif "=" in line and line[0] not in "#;":
            name, _, value = line.partition("=")
            settings[f"{section}.{name.strip().lower()}"] = value.strip().strip('"')
    return settings


def _relative_files(directory: str) -> list[str]:
    """Return the paths of all files below a directory, relative to it."""
    return [
        os.path.relpath(os.path.join(parent, name), directory)
        for parent, _, names in os.walk(directory)
        for name in names
    ]
