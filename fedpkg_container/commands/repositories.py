"""The yum repositories of a local build: those of ``--repo-url``, and that of the target's build tag."""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedpkg_container.errors import FedpkgContainerError, RefusedError

if TYPE_CHECKING:
    from fedpkg_container.distgit.checkout import Checkout


@dataclass
class LocalRepositories:
    """Repositories that RUN is given.

    :param folders: of this machine, by name
    :param files: texts of .repo files, by name
    :param notices: where they came from, to be shown
    :param network: what RUN must reach for them: none, or host
    """

    folders: dict[str, Path] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    network: str = "none"


def find_repositories(client: Any, checkout: Checkout, urls: list[str], arch: str) -> LocalRepositories:
    """The repositories for a local build.

    :param urls: of .repo files
    :raises RefusedError: one of them cannot be read, or there is no such target
    """
    from fedpkg_container.image.resolve.repo_files import fetch_repo_file

    found = LocalRepositories()
    for number, url in enumerate(urls, 1):
        found.files[f"repo-url-{number}"] = fetch_repo_file(url)
        found.notices.append(f"with the repositories of {url}")
        found.network = "host"
    target = client.args.target or (client.cmd.container_build_target if checkout.branch else "")
    _add_build_tag(client, target, arch or platform.machine(), found)
    if found.network == "host":
        found.notices.append("RUN reaches the network of this machine, for these repositories")
    return found


def _add_build_tag(client: Any, target: str, arch: str, found: LocalRepositories) -> None:
    """Add the repository of the target's build tag, when the hub answers without a login; say so either way."""
    from fedpkg_container.commands.site import koji_profile
    from fedpkg_container.hub.preflight import find_repository

    if not target:
        found.notices.append("without the repository of a build tag: no target is known (--target)")
        return
    try:
        repository = find_repository(koji_profile(client), target)
    except FedpkgContainerError as error:
        if client.args.target and isinstance(error, RefusedError):
            raise
        found.notices.append(f"without the repository of target {target}'s build tag: {error.reason}")
        return
    local = Path(repository.topdir or "/nonexistent") / repository.path / arch
    url = f"{repository.url}/{repository.path}/{arch}"
    if (local / "repodata" / "repomd.xml").is_file():
        found.folders["build-tag"] = local
        found.notices.append(f"with the repository of build tag {repository.tag}: {local}")
    elif url.startswith(("http://", "https://")):
        text = f"[build-tag]\nname=repository of the build tag\nbaseurl={url}\nenabled=1\ngpgcheck=0\n"
        found.files["build-tag"] = text
        found.network = "host"
        found.notices.append(f"with the repository of build tag {repository.tag}: {url}")
    else:
        found.notices.append(
            f"without the repository of build tag {repository.tag} for {arch}: it is not mounted here, "
            "and the koji profile names no web address of it (topurl)"
        )
