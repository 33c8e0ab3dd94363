"""Where the yum repository of a build target is."""

from __future__ import annotations

from dataclasses import dataclass

from fedpkg_container.errors import FedpkgContainerError, RefusedError
from fedpkg_container.hub.session import anonymous, contact, profile_options
from fedpkg_container.text import printable_line


@dataclass(frozen=True)
class TagRepository:
    """The newest repository of a build tag.

    :param path: below Koji's topdir, without the arch
    :param topdir: of the koji profile: a folder that may be mounted here; empty when there is none
    :param url: of the same folder; empty when it is not served
    """

    tag: str
    path: str
    topdir: str
    url: str


def find_repository(profile: str, target_name: str) -> TagRepository:
    """The repository of a target's build tag, asked for without a login.

    :param profile: koji profile
    :raises RefusedError: there is no such target
    :raises FedpkgContainerError: its build tag has no repository, or the hub does not answer
    """
    options = profile_options(profile)
    session = anonymous(profile)
    with contact(session.baseurl):
        target = session.getBuildTarget(target_name)
        if target is None:
            raise RefusedError(f"there is no build target {target_name}", solution="koji list-targets lists them")
        repo = session.getRepo(target["build_tag"])
    tag = printable_line(str(target["build_tag_name"]))
    if "/" in tag or tag in (".", ".."):
        raise FedpkgContainerError(f"{tag} is no name of a tag")
    if not repo:
        raise FedpkgContainerError(f"build tag {tag} has no repository")
    url = str(options.get("topurl") or "")
    return TagRepository(tag, f"repos/{tag}/{int(repo['id'])}", str(options.get("topdir") or ""), url)
