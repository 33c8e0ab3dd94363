"""``fedpkg container-build --local``: the build on this machine, and its yum repositories."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedpkg_container.commands.terminal import complain, is_json, is_quiet, say, say_event
from fedpkg_container.errors import FedpkgContainerError, RefusedError
from fedpkg_container.text import printable_line

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
    from fedpkg_container.commands.client_config import koji_profile
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


def run(client: Any) -> int:
    """Check the files, build them as they are, and say how to run the image; the exit status.

    :raises FedpkgContainerError: a check refuses, or a step failed
    """
    from fedpkg_container.commands.build_arguments import flat
    from fedpkg_container.distgit.checkout import Checkout
    from fedpkg_container.signals import interruptible

    arguments = client.args
    arches = flat(arguments.arches) or []
    if len(arches) > 1:
        client.container_build_parser.error("argument --local: one arch at a time")
    checkout = Checkout.read(client.cmd)
    _check(client, checkout)
    if arguments.dry_run:
        say(f"dry run: would build {checkout.path} on this machine")
        return 0
    repositories = find_repositories(client, checkout, flat(arguments.repo_url) or [], arches[0] if arches else "")
    _notices(client, checkout, repositories)
    with interruptible():
        return _build(client, checkout, arches[0] if arches else "", repositories)


def _check(client: Any, checkout: Checkout) -> None:
    from fedpkg_container.commands.findings import refuse, tell, weighed
    from fedpkg_container.distgit import rules

    arguments = client.args
    findings = weighed(rules.check(checkout, local=True), skip=arguments.skip_check, strict=arguments.strict)
    refuse(findings, "not built")
    tell(client, findings)


def _notices(client: Any, checkout: Checkout, repositories: LocalRepositories) -> None:
    if is_quiet(client) or is_json(client):
        return
    if checkout.changed:
        complain(f"with uncommitted changes in {', '.join(map(printable_line, checkout.changed[:5]))}")
    complain(*repositories.notices)


def _build(client: Any, checkout: Checkout, arch: str, repositories: LocalRepositories) -> int:
    import time

    from fedpkg_container.image.local_build import LocalBuildRequest, build_locally
    from fedpkg_container.text import spoken

    began = time.monotonic()

    def show(lines: Sequence[str]) -> None:
        if not is_quiet(client) and not is_json(client):
            say(*(printable_line(line.rpartition("\r")[2]) for line in lines))

    request = LocalBuildRequest(checkout.path, arch, repositories.folders, repositories.files, repositories.network)
    image = build_locally(request, state_folder(), show)
    if is_json(client):
        say_event("image", image=image.name, image_id=image.image_id, packages=image.packages)
    elif is_quiet(client):
        say(image.name)
    else:
        say(f"built {image.name} in {spoken(time.monotonic() - began)}: {image.packages} RPMs, {image.image_id[:12]}")
        say(f"run it: podman run --rm -it {image.name}")
    return 0


def state_folder() -> Path:
    """Where base images are kept between local builds (XDG state directory)."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "fedpkg-container" / "local"
