"""The rules over a checkout and its files: everything that can be known before a hub is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fedpkg_container.distgit import additional_tags, container_yaml, copy_rules, dockerfile_rules, label_rules
from fedpkg_container.distgit.checkout import NAMESPACES, Checkout
from fedpkg_container.distgit.dockerfile import FILE, Dockerfile
from fedpkg_container.distgit.safe_read import read_bytes
from fedpkg_container.errors import RefusedError
from fedpkg_container.model.findings import ERROR, WARNING, Finding
from fedpkg_container.model.nvr import COMPONENT, OLDER
from fedpkg_container.model.options import own_components

HELP = "help.md"


def check(checkout: Checkout, *, local: bool = False) -> list[Finding]:
    """Every finding about a checkout, in the order of the files.

    :param local: for a build on this machine, which takes the files as they are on disk
    """
    if local:
        return check_files(checkout.path)
    dockerfile, unreadable = _read(checkout.path)
    found = [*_state(checkout), *unreadable, *_files(checkout.path, dockerfile, checkout.tracked)]
    if dockerfile is not None:
        found += [*_name(checkout, dockerfile), *_left_out(checkout, dockerfile)]
    return found


def check_files(path: Path) -> list[Finding]:
    """Every finding about the files of a checkout as they are on disk, whatever git says of them."""
    dockerfile, unreadable = _read(path)
    return [*unreadable, *_files(path, dockerfile, None)]


def _read(path: Path) -> tuple[Dockerfile | None, list[Finding]]:
    """The Dockerfile, or why there is none."""
    try:
        return Dockerfile.read(path), []
    except RefusedError as error:
        return None, [Finding("no-dockerfile", ERROR, error.reason, error.solution, FILE)]


def _files(path: Path, dockerfile: Dockerfile | None, tracked: frozenset[str] | None) -> Iterator[Finding]:
    """Findings about files.

    :param tracked: files that git has; None: what is on disk counts
    """
    if dockerfile is not None:
        yield from dockerfile_rules.check(dockerfile)
        yield from dockerfile_rules.check_run(dockerfile)
        yield from copy_rules.check(dockerfile, path, tracked)
        yield from label_rules.check(dockerfile)
    yield from container_yaml.check(path)
    yield from additional_tags.check(path)
    yield from _help(path)


def _name(checkout: Checkout, dockerfile: Dockerfile) -> Iterator[Finding]:
    """A package that is called otherwise than its repository: mostly a Dockerfile that was copied from another one.

    Builders record it only where the site lists it. The client does not know that list, so this is a warning.
    """
    found = dockerfile.label_places.get(COMPONENT) or dockerfile.label_places.get(OLDER[COMPONENT])
    own = own_components(checkout.name)
    if found and found.value and found.value not in own:
        message = f"label {COMPONENT} = {found.value}, but the repository is {checkout.name}"
        solution = f"builders record {' or '.join(own)}, and others only where the site allows it; correct the label"
        yield Finding("label-repository", WARNING, message, solution, FILE, found.line)


def _left_out(checkout: Checkout, dockerfile: Dockerfile) -> Iterator[Finding]:
    """Files that a COPY of a folder takes here, and not on a builder."""
    for folder, line in copy_rules.folders(dockerfile) if checkout.untracked else ():
        inside = [name for name in checkout.untracked if folder == "." or name.startswith(f"{folder}/")]
        if inside:
            shown = f"{', '.join(inside[:3])}{' …' if len(inside) > 3 else ''}"
            message = f"{shown} would not be copied: builders have only what is in git"
            yield Finding("copy-left-out", WARNING, message, "add it to git, or to .gitignore", FILE, line)


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
        solution = "push first: fedpkg push" if not checkout.behind else "git pull --rebase first, then fedpkg push"
        yield Finding("unpushed", ERROR, f"{checkout.ahead} {commits} not pushed", solution)
    if checkout.behind:
        commits = "commit" if checkout.behind == 1 else "commits"
        yield Finding(
            "behind",
            WARNING,
            f"{checkout.tracks} has {checkout.behind} {commits} that this checkout lacks",
            "pull first when they belong into the build: fedpkg pull",
        )


def _help(folder: Path) -> Iterator[Finding]:
    try:
        content = read_bytes(folder, HELP)
    except RefusedError as error:
        yield Finding("help", ERROR, error.reason, error.solution, HELP)
        return
    if content is not None and not content.strip():
        yield Finding("help", WARNING, f"{HELP} is empty", "describe the image in it, or remove it", HELP)
