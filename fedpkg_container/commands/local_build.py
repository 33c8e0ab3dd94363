# SPDX-License-Identifier: GPL-2.0-or-later
"""``fedpkg container-build --local``: a build on this machine, and its yum repositories."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fedpkg_container.commands.terminal import is_json, is_quiet, print_event, print_lines, print_stderr
from fedpkg_container.errors import FedpkgContainerError, RefusedError
from fedpkg_container.text import printable_line

if TYPE_CHECKING:
    from fedpkg_container.client import Client
    from fedpkg_container.distgit.checkout import Checkout


@dataclass
class LocalRepositories:
    """Yum repositories for RUN instructions.

    :param directories: local repositories: name → directory
    :param files: .repo files: name → content
    :param notices: messages for the user about the repositories
    :param network: network that RUN needs for them: ``none`` or ``host``
    """

    directories: dict[str, Path] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    network: str = "none"


def find_repositories(client: Client, checkout: Checkout, urls: list[str], arch: str) -> LocalRepositories:
    """Return the repositories for a local build.

    :param urls: URLs of .repo files
    :raises RefusedError: if one of them cannot be read, or the target does not exist
    """
    from fedpkg_container.image.resolve.repo_files import fetch_repo_file

    repositories = LocalRepositories()
    for number, url in enumerate(urls, 1):
        repositories.files[f"repo-url-{number}"] = fetch_repo_file(url)
        repositories.notices.append(f"using the repositories in {url}")
        repositories.network = "host"
    target = client.args.target or (client.cmd.container_build_target if checkout.branch else "")
    _add_build_tag(client, target, arch or platform.machine(), repositories)
    if repositories.network == "host":
        repositories.notices.append("RUN can access the host's network, which these repositories require")
    return repositories


def _add_build_tag(client: Client, target: str, arch: str, repositories: LocalRepositories) -> None:
    """Add the repository of the target's build tag, if the hub allows anonymous access, and a notice about it."""
    from fedpkg_container.commands.client_config import koji_profile
    from fedpkg_container.hub.preflight import find_repository

    if not target:
        repositories.notices.append("not using the repository of a build tag: unknown target (pass --target)")
        return
    try:
        repository = find_repository(koji_profile(client), target)
    except FedpkgContainerError as error:
        if client.args.target and isinstance(error, RefusedError):
            raise
        repositories.notices.append(f"not using the repository of target {target}'s build tag: {error.reason}")
        return
    local = Path(repository.topdir or "/nonexistent") / repository.path / arch
    url = f"{repository.url}/{repository.path}/{arch}"
    if (local / "repodata" / "repomd.xml").is_file():
        repositories.directories["build-tag"] = local
        repositories.notices.append(f"using the repository of build tag {repository.tag}: {local}")
    elif url.startswith(("http://", "https://")):
        text = f"[build-tag]\nname=repository of the build tag\nbaseurl={url}\nenabled=1\ngpgcheck=0\n"
        repositories.files["build-tag"] = text
        repositories.network = "host"
        repositories.notices.append(f"using the repository of build tag {repository.tag}: {url}")
    else:
        repositories.notices.append(
            f"not using the repository of build tag {repository.tag} for {arch}: it is not mounted here, "
            "and the Koji profile does not set its URL (topurl)"
        )


def run(client: Client) -> int:
    """Check the files, build the image from the working tree and return the exit status.

    :raises FedpkgContainerError: if a check or a build step failed
    """
    from fedpkg_container.commands.build_arguments import flatten
    from fedpkg_container.distgit.checkout import Checkout
    from fedpkg_container.signals import interruptible

    arguments = client.args
    arches = flatten(arguments.arches) or []
    if len(arches) > 1:
        client.container_build_parser.error("argument --local: only one architecture is allowed")
    checkout = Checkout.read(client.cmd)
    _check(client, checkout)
    if arguments.dry_run:
        print_lines(f"dry run: would build {checkout.path} on this machine")
        return 0
    repositories = find_repositories(client, checkout, flatten(arguments.repo_url) or [], arches[0] if arches else "")
    _notices(client, checkout, repositories)
    with interruptible():
        return _build(client, checkout, arches[0] if arches else "", repositories)


def _check(client: Client, checkout: Checkout) -> None:
    from fedpkg_container.commands.findings import apply_overrides, raise_on_errors, report_findings
    from fedpkg_container.distgit import rules

    arguments = client.args
    findings = apply_overrides(rules.check(checkout, local=True), skip=arguments.skip_check, strict=arguments.strict)
    raise_on_errors(findings, "not built")
    report_findings(client, findings)


def _notices(client: Client, checkout: Checkout, repositories: LocalRepositories) -> None:
    if is_quiet(client) or is_json(client):
        return
    if checkout.changed:
        print_stderr(f"including uncommitted changes in {', '.join(map(printable_line, checkout.changed[:5]))}")
    print_stderr(*repositories.notices)


def _build(client: Client, checkout: Checkout, arch: str, repositories: LocalRepositories) -> int:
    import time

    from fedpkg_container.image.local_build import LocalBuildRequest, build_locally
    from fedpkg_container.text import format_duration

    started = time.monotonic()

    def show(lines: Sequence[str]) -> None:
        if not is_quiet(client) and not is_json(client):
            print_lines(*(printable_line(line.rpartition("\r")[2]) for line in lines))

    request = LocalBuildRequest(checkout.path, arch, repositories.directories, repositories.files, repositories.network)
    image = build_locally(request, state_directory(), show)
    if is_json(client):
        print_event("image", image=image.name, image_id=image.image_id, packages=image.packages)
    elif is_quiet(client):
        print_lines(image.name)
    else:
        took = format_duration(time.monotonic() - started)
        print_lines(f"built {image.name} in {took}: {image.packages} RPMs, {image.image_id[:12]}")
        print_lines(f"run it: podman run --rm -it {image.name}")
    return 0


def state_directory() -> Path:
    """Return the directory that keeps base images between local builds (XDG state directory)."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "fedpkg-container" / "local"
