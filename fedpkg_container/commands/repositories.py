"""The yum repositories of a local build: those of ``--repo-url``, and that of the target's build tag."""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedpkg_container.errors import FedpkgContainerError, RefusedError
from fedpkg_container.text import printable_line

if TYPE_CHECKING:
    from fedpkg_container.distgit.checkout import Checkout

#: Seconds for one .repo file, and its greatest length in bytes.
TIMEOUT = 30
LONGEST = 1024 * 1024


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
    :raises RefusedError: one of them cannot be read
    """
    found = LocalRepositories()
    for number, url in enumerate(urls, 1):
        found.files[f"repo-url-{number}"] = _fetch(url)
        found.notices.append(f"with the repositories of {url}")
        found.network = "host"
    _add_build_tag(client, checkout, arch or platform.machine(), found)
    if found.network == "host":
        found.notices.append("RUN reaches the network of this machine, for these repositories")
    return found


def _fetch(url: str) -> str:
    import requests

    refusal = RefusedError(
        f"{printable_line(url)} cannot be read as a .repo file", solution="give --repo-url an http(s) address of one"
    )
    try:
        with requests.get(url, timeout=TIMEOUT, stream=True) as answer:
            answer.raise_for_status()
            content: bytes = answer.raw.read(LONGEST + 1, decode_content=True)
    except (requests.RequestException, OSError) as error:
        raise refusal from error
    if len(content) > LONGEST:
        raise refusal
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise refusal from error


def _add_build_tag(client: Any, checkout: Checkout, arch: str, found: LocalRepositories) -> None:
    """Add the repository of the target's build tag, when the hub answers without a login; say so either way."""
    from fedpkg_container.commands.site import koji_profile
    from fedpkg_container.hub.session import anonymous, contact, profile_options

    target_name = client.args.target or (client.cmd.container_build_target if checkout.branch else "")
    if not target_name:
        found.notices.append("without the repository of a build tag: no target is known (--target)")
        return
    try:
        options = profile_options(koji_profile(client))
        session = anonymous(koji_profile(client))
        with contact(session.baseurl):
            target = session.getBuildTarget(target_name)
            repo = session.getRepo(target["build_tag"]) if target else None
    except FedpkgContainerError as error:
        found.notices.append(f"without the repository of target {target_name}'s build tag: {error.reason}")
        return
    if not repo:
        what = f"its build tag {target['build_tag_name']} has no repository" if target else "there is no such target"
        found.notices.append(f"without the repository of target {target_name}: {what}")
        return
    tag = str(target["build_tag_name"])
    if "/" in tag or tag in (".", ".."):
        found.notices.append(f"without the repository of build tag {printable_line(tag)}: that is no name of a tag")
        return
    path = f"repos/{tag}/{int(repo['id'])}/{arch}"
    local = Path(options["topdir"]) / path
    if (local / "repodata" / "repomd.xml").is_file():
        found.folders["build-tag"] = local
        found.notices.append(f"with the repository of build tag {tag}: {local}")
    elif str(options.get("topurl") or "").startswith(("http://", "https://")):
        url = f"{options['topurl']}/{path}"
        found.files["build-tag"] = (
            f"[build-tag]\nname=repository of the build tag\nbaseurl={url}\nenabled=1\ngpgcheck=0\n"
        )
        found.network = "host"
        found.notices.append(f"with the repository of build tag {tag}: {url}")
    else:
        found.notices.append("without the repository of the build tag: the koji profile has no topurl")
