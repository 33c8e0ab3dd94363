"""The rules over a checkout and its files: everything that can be known before a hub is asked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from fedpkg_container.distgit import additional_tags, container_yaml, copy_rules, dockerfile_rules, label_rules
from fedpkg_container.distgit.checkout import NAMESPACES, Checkout
from fedpkg_container.distgit.dockerfile import Dockerfile
from fedpkg_container.errors import RefusedError
from fedpkg_container.model.finding import ERROR, WARNING, Finding

FILE = dockerfile_rules.FILE


def check(checkout: Checkout, *, local: bool = False) -> list[Finding]:
    """Every finding about a checkout, in the order of the files.

    :param local: for a build on this machine, which takes the files as they are on disk
    """
    if local:
        return check_files(checkout.path)
    return [*_state(checkout), *check_files(checkout.path, checkout.tracked)]


def check_files(path: Path, tracked: frozenset[str] | None = None) -> list[Finding]:
    """Every finding about the files of a checkout.

    :param tracked: files that git has; None: what is on disk counts
    """
    found = [*_dockerfile(path, tracked), *container_yaml.check(path), *additional_tags.check(path)]
    return [*found, *_help(path)]


def _state(checkout: Checkout) -> Iterator[Finding]:
    if checkout.namespace not in NAMESPACES:
        yield Finding(
            "namespace",
            ERROR,
            f"{checkout.namespace or 'no namespace'}/{checkout.name} is not a container repository",
            f"run this in a checkout of one of the namespaces {', '.join(NAMESPACES)}",
        )
    if checkout.changed:
        yield Finding(
            "uncommitted",
            ERROR,
            f"uncommitted changes in {', '.join(checkout.changed[:5])}{' …' if len(checkout.changed) > 5 else ''}",
            "commit and push them, or stash them: builders see only what is pushed",
        )
    if checkout.detached:
        yield Finding(
            "detached-head",
            WARNING if checkout.branch else ERROR,
            f"{checkout.path} is on no branch",
            "switch to one: git switch rawhide; or say which with --release before the command",
        )
    else:
        yield from _branch(checkout)


def _branch(checkout: Checkout) -> Iterator[Finding]:
    if not checkout.branch_known:
        yield Finding(
            "branch",
            WARNING,
            f"{checkout.branch} is not a name that branches of this site have",
            "name the target with --target",
        )
    if not checkout.tracks:
        yield Finding(
            "no-upstream",
            ERROR,
            f"branch {checkout.branch} follows no branch of dist-git",
            f"push it with: git push -u origin HEAD:{checkout.branch}",
        )
    if checkout.ahead:
        commits = "commit is" if checkout.ahead == 1 else "commits are"
        yield Finding("unpushed", ERROR, f"{checkout.ahead} {commits} not pushed", "push first: fedpkg push")
    if checkout.behind:
        commits = "commit" if checkout.behind == 1 else "commits"
        yield Finding(
            "behind",
            WARNING,
            f"{checkout.tracks} has {checkout.behind} {commits} that this checkout lacks",
            "pull first when they belong into the build: fedpkg pull",
        )


def _dockerfile(path: Path, tracked: frozenset[str] | None) -> Iterator[Finding]:
    try:
        dockerfile = Dockerfile.read(path)
    except RefusedError as error:
        yield Finding("no-dockerfile", ERROR, error.reason, error.solution, FILE)
        return
    yield from dockerfile_rules.check(dockerfile)
    yield from copy_rules.check(dockerfile, path, tracked)
    yield from label_rules.check(dockerfile)


def _help(folder: Path) -> Iterator[Finding]:
    path = folder / "help.md"
    if not os.path.lexists(path):
        return
    if not path.is_file() or not path.resolve().is_relative_to(folder.resolve()):
        yield Finding("help", ERROR, "help.md is not a file of the checkout", "make it a file", "help.md")
        return
    with path.open("rb") as file:
        empty = not file.read(1 << 16).strip()
    if empty:
        yield Finding("help", WARNING, "help.md is empty", "describe the image in it, or remove it", "help.md")
