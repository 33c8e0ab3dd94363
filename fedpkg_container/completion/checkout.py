"""What a checkout says without git: its package, branch and remote branches, read from the files below ``.git``."""

from __future__ import annotations

import os

#: Longer files are not read: a TAB must not wait for them.
MAX_BYTES = 8 * 1024 * 1024


class Checkout:
    """A dist-git checkout as far as completion needs it; every attribute is empty when it cannot be known.

    :param path: a folder in it
    """

    def __init__(self, path: str) -> None:
        self._git = _git_folder(os.path.abspath(path))
        # A linked worktree has its own HEAD; branches and configuration are those of the main one.
        common = _read(os.path.join(self._git, "commondir")).strip() if self._git else ""
        self._common = os.path.join(self._git, common) if common else self._git
        self._settings = _settings(_read(os.path.join(self._common, "config"))) if self._common else {}
        head = _read(os.path.join(self._git, "HEAD")).strip() if self._git else ""
        self.branch = head[len("ref: refs/heads/") :] if head.startswith("ref: refs/heads/") else ""
        self.remote = self._settings.get(f'branch "{self.branch}".remote', "origin")
        merge = self._settings.get(f'branch "{self.branch}".merge', "")
        #: The branch of dist-git that is followed, or of the same name.
        self.follows = merge[len("refs/heads/") :] if merge.startswith("refs/heads/") else self.branch
        self.namespace, self.name = self._repository()

    def _repository(self) -> tuple[str, str]:
        section = f'remote "{self.remote}"'
        url = self._settings.get(f"{section}.pushurl") or self._settings.get(f"{section}.url", "")
        parts = [part for part in url.split("://")[-1].replace(":", "/").split("/") if part]
        name = parts[-1] if parts else ""
        return (parts[-2] if len(parts) > 2 else ""), name[:-4] if name.endswith(".git") else name

    @property
    def component(self) -> str:
        """The package's name in Koji, by the custom that containers end in ``-container``."""
        if self.namespace in ("container", "containers", "docker") and not self.name.endswith("-container"):
            return f"{self.name}-container" if self.name else ""
        return self.name

    @property
    def target(self) -> str:
        """The build target that rpkg would use for this branch."""
        if not self.follows or not self.name:
            return ""
        middle = "" if self.namespace in ("", "rpms") else f"-{self.namespace}"
        return f"{self.follows}{middle}-candidate"

    def branches(self) -> list[str]:
        """The branches of the remote, as far as they were fetched."""
        if not self._common:
            return []
        prefix = f"refs/remotes/{self.remote}/"
        found = set(_loose(os.path.join(self._common, *prefix.split("/"))))
        for line in _read(os.path.join(self._common, "packed-refs")).splitlines():
            name = line.partition(" ")[2]
            if name.startswith(prefix):
                found.add(name[len(prefix) :])
        return sorted(found - {"HEAD"})


def _git_folder(path: str) -> str:
    """The ``.git`` folder of a place in a work tree."""
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
    """The values of a git configuration, ``remote "origin".url``; includes and continued lines are not followed."""
    found: dict[str, str] = {}
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = line[1:].partition("]")[0]
        elif "=" in line and line[0] not in "#;":
            name, _, value = line.partition("=")
            found[f"{section}.{name.strip().lower()}"] = value.strip().strip('"')
    return found


def _loose(folder: str) -> list[str]:
    """Names of the files below a folder, relative to it."""
    return [os.path.relpath(os.path.join(above, name), folder) for above, _, names in os.walk(folder) for name in names]
