"""``fedpkg container-build --local``: the build on this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedpkg_container.commands.terminal import complain, is_json, is_quiet, say, say_event
from fedpkg_container.text import printable_line

if TYPE_CHECKING:
    from fedpkg_container.commands.repositories import LocalRepositories
    from fedpkg_container.distgit.checkout import Checkout


def run(client: Any) -> int:
    """Check the files, build them as they are, and say how to run the image; the exit status.

    :raises FedpkgContainerError: a check refuses, or a step failed
    """
    from fedpkg_container.commands.build_arguments import flat
    from fedpkg_container.commands.repositories import find_repositories
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

    from fedpkg_container.image.local_build import LocalRequest, build
    from fedpkg_container.text import spoken

    began = time.monotonic()

    def show(lines: Sequence[str]) -> None:
        if not is_quiet(client) and not is_json(client):
            say(*(printable_line(line.rpartition("\r")[2]) for line in lines))

    request = LocalRequest(checkout.path, arch, repositories.folders, repositories.files, repositories.network)
    image = build(request, state_folder(), show)
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
