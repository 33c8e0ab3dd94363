# SPDX-License-Identifier: GPL-2.0-or-later
"""``promote --publish``: its options, and what is printed while it waits for mirrors."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from fedpkg_container.commands.registry.mirror_probe import probed_urls
from fedpkg_container.text import format_duration, pluralize

if TYPE_CHECKING:
    from pathlib import Path

    from fedpkg_container.registry.config import DistributionSite, Target
    from fedpkg_container.registry.progress import Progress
    from fedpkg_container.registry.promotion.promote import BuildCandidate, PromoteOptions
    from fedpkg_container.registry.promotion.result import PromotionResult


def check_usage(arguments: argparse.Namespace) -> None:
    """Check that options of ``--publish`` are used with it.

    :raises UsageError: if not
    """
    from fedpkg_container.errors import UsageError

    given = [name for name in ("tree", "probe", "wait") if getattr(arguments, name) is not None]
    if given and not arguments.publish:
        raise UsageError(f"--{given[0]} requires --publish", solution=f"add --publish, or omit --{given[0]}")
    if arguments.publish and arguments.verify:
        raise UsageError("--publish copies nothing that --verify could read", solution="use --verify with --stage")


def publish_builds(
    arguments: argparse.Namespace,
    site: DistributionSite,
    target: Target,
    builds: Sequence[BuildCandidate],
    options: PromoteOptions,
    *,
    on_result: Callable[[PromotionResult], None],
    progress: Progress,
) -> list[PromotionResult]:
    """Publish staged builds according to the arguments and the configuration.

    :raises UsageError: if neither a mirror tree nor a mirror is given, or the tree does not exist
    """
    from fedpkg_container.commands.terminal import print_stderr
    from fedpkg_container.registry.config import NO_TREE
    from fedpkg_container.registry.mirror.options import Options
    from fedpkg_container.registry.probing.availability import Availability
    from fedpkg_container.registry.probing.prober import open_prober
    from fedpkg_container.registry.promotion.publish import publish

    is_mirrored = target.name == site.mirroring.target
    tree = arguments.tree or (site.mirroring.directory if is_mirrored else None)
    if tree == NO_TREE:
        tree = None
    mirrors = probed_urls(arguments.probe, site) if arguments.probe or is_mirrored else ()
    patterns = site.mirroring.repositories if is_mirrored else ("*",)
    _check_places(tree, bool(mirrors), site, target)
    wait = arguments.wait or 0

    def on_wait(waiting: Sequence[PromotionResult]) -> None:
        if not announced:
            announced.append(True)
            what = pluralize(len(waiting), "build")
            print_stderr(f"waiting up to {format_duration(wait)} until mirrors have the blobs of {what}")

    announced: list[bool] = []
    exports = Options(tree or site.path, repositories=patterns, prefix=target.prefix).wants
    with open_prober(mirrors, site.mirroring.parallel) as prober:
        availability = Availability(tree, prober, exports)
        return publish(
            site,
            target,
            builds,
            options,
            availability,
            wait=wait,
            on_result=on_result,
            on_wait=on_wait,
            progress=progress,
        )


def _check_places(tree: Path | None, has_mirrors: bool, site: DistributionSite, target: Target) -> None:
    """Check that there is something to check for blobs.

    :raises UsageError: if not
    """
    from fedpkg_container.errors import UsageError

    if tree is None and not has_mirrors:
        raise UsageError(
            f"the mirrors of target {target.name!r} are not known",
            solution=f"name the directory that mirror writes: --tree DIR, or set [mirror] directory in {site.path}; or"
            " name a mirror: --probe URL",
        )
    if tree is not None and not tree.is_dir():
        raise UsageError(
            f"{tree} is not a directory",
            solution="run mirror first, or name the directory that it writes: --tree DIR; to check only mirrors: --tree"
            " none",
        )
