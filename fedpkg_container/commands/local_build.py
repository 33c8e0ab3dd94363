"""``fedpkg container-build --local``: the build on this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    repositories = find_repositories(client, checkout, flat(arguments.repo_url) or [], arches[0] if arches else "")
    _notices(client, checkout, repositories)
    if arguments.dry_run:
        print(f"dry run: would build {checkout.path} on this machine")
        return 0
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
    if client.args.q:
        return
    if checkout.changed:
        print(f"with uncommitted changes in {', '.join(checkout.changed[:5])}", file=sys.stderr)
    for notice in repositories.notices:
        print(notice, file=sys.stderr)


def _build(client: Any, checkout: Checkout, arch: str, repositories: LocalRepositories) -> int:
    import time

    from fedpkg_container.commands.following import progress_kind
    from fedpkg_container.image.local_build import LocalRequest, build
    from fedpkg_container.progress.times import spoken
    from fedpkg_container.text import printable_line

    kind = progress_kind(client)
    began = time.monotonic()

    def show(lines: Sequence[str]) -> None:
        if kind not in ("quiet", "json"):
            for line in lines:
                print(printable_line(line.rpartition("\r")[2]), flush=True)

    request = LocalRequest(checkout.path, arch, repositories.folders, repositories.files, repositories.network)
    image = build(request, state_folder(), show)
    if kind == "json":
        import json

        print(json.dumps({"image": image.name, "image_id": image.image_id, "packages": image.packages}))
    elif kind == "quiet":
        print(image.name)
    else:
        print(f"built {image.name} in {spoken(time.monotonic() - began)}: {image.packages} RPMs, {image.image_id[:12]}")
        print(f"run it: podman run --rm -it {image.name}")
    return 0


def state_folder() -> Path:
    """Where base images are kept between local builds (XDG state directory)."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "fedpkg-container" / "local"
