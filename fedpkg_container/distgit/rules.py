# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks of a checkout, which require git, and of its files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from fedpkg_container.distgit import additional_tags, container_yaml, copy_rules, file_rules, label_rules
from fedpkg_container.distgit.checkout import NAMESPACES, Checkout
from fedpkg_container.distgit.dockerfile import FILE, Dockerfile, find_file
from fedpkg_container.distgit.dockerfile_facts import TARGET_ARGUMENTS
from fedpkg_container.distgit.dockerfile_rules import named
from fedpkg_container.distgit.file_rules import HELP
from fedpkg_container.distgit.ignore_file import find_ignore_file
from fedpkg_container.model.findings import ERROR, WARNING, Finding
from fedpkg_container.model.nvr import COMPONENT_LABEL
from fedpkg_container.model.options import default_components
from fedpkg_container.model.platforms import platform_of


def check(checkout: Checkout, *, local: bool = False, dockerfile: Dockerfile | None = None) -> list[Finding]:
    """Return all findings about a checkout, in the order of the files.

    :param local: whether to check for a local build, which uses the files on disk
    :param dockerfile: the Dockerfile, if it has been read; None to read it
    """
    if local:
        return file_rules.check_files(checkout.path, checkout.submodules)
    dockerfile, unreadable = (dockerfile, []) if dockerfile else file_rules.read(checkout.path)
    files = file_rules.check(checkout.path, dockerfile, checkout.tracked, checkout.submodules)
    findings = [*_state(checkout), *_untracked_files(checkout), *unreadable, *files]
    if dockerfile is not None:
        about_checkout = [*_name(checkout, dockerfile), *_untracked_copies(checkout, dockerfile)]
        findings += named(about_checkout, dockerfile)
    return findings


def check_architectures(checkout: Checkout, dockerfile: Dockerfile, arches: Sequence[str]) -> list[Finding]:
    """Return findings about sources of COPY and ADD that depend on the architecture: ``COPY bin-$TARGETARCH /bin``.

    :param dockerfile: read without a platform
    :param arches: Koji names of the architectures to build for
    """
    copied = (word for item in dockerfile.instructions if item.name in ("COPY", "ADD") for word in item.words[:-1])
    if not any(word.unknown.intersection(TARGET_ARGUMENTS) for word in copied):
        return []
    findings: dict[Finding, None] = {}
    for arch in arches:
        reading = dockerfile.with_facts(replace(dockerfile.facts, platform=platform_of(arch)))
        of_arch = copy_rules.check(reading, checkout.path, checkout.tracked, checkout.submodules)
        findings |= dict.fromkeys(named(of_arch, dockerfile))
    known = copy_rules.check(dockerfile, checkout.path, checkout.tracked, checkout.submodules)
    reported = set(named(known, dockerfile))
    return [finding for finding in findings if finding not in reported]


def _name(checkout: Checkout, dockerfile: Dockerfile) -> Iterator[Finding]:
    """Check that the package is named after its repository; if not, the Dockerfile was probably copied from another.

    Only a warning: sites can allow builders to accept other names, and the client does not know which.
    """
    label = label_rules.identity_labels(dockerfile.label_details).get(COMPONENT_LABEL)
    allowed = default_components(checkout.name)
    if label and label.value and not label.unknown and label.value not in allowed:
        message = f"label {COMPONENT_LABEL} = {label.value}, but the repository is named {checkout.name}"
        solution = f"use {' or '.join(allowed)}: builders accept other names only if the site allows them"
        yield Finding("label-repository", WARNING, message, solution, FILE, label.line)


def _untracked_files(checkout: Checkout) -> Iterator[Finding]:
    """Check for untracked files that the other checks read: the build would differ from what was checked."""
    file = find_file(checkout.path)
    names = (
        file,
        find_ignore_file(checkout.path, file),
        container_yaml.FILE,
        additional_tags.FILE,
        copy_rules.SOURCES,
        HELP,
    )
    for name in names:
        if name in checkout.untracked:
            message = f"{name} is not tracked by git, so builders do not have it"
            yield Finding("untracked", ERROR, message, "add it to git, commit and push, or delete it", name)


def _untracked_copies(checkout: Checkout, dockerfile: Dockerfile) -> Iterator[Finding]:
    """Check for untracked files in copied directories: they are missing on builders."""
    for names, line in copy_rules.untracked(dockerfile, checkout.path, checkout.untracked):
        message = "untracked files will not be copied, because builders do not have them: "
        message += f"{', '.join(names[:3])}{' …' if len(names) > 3 else ''}"
        yield Finding("copy-left-out", WARNING, message, "add them to git, or to .gitignore", FILE, line)


def _state(checkout: Checkout) -> Iterator[Finding]:
    if checkout.namespace not in NAMESPACES:
        yield Finding(
            "namespace",
            ERROR,
            f"{checkout.namespace or 'no namespace'}/{checkout.name} is not a container repository",
            f"run this in a checkout from one of the namespaces {', '.join(NAMESPACES)}",
        )
    if checkout.changed:
        yield Finding(
            "uncommitted",
            ERROR,
            f"uncommitted changes in {', '.join(checkout.changed[:5])}{' …' if len(checkout.changed) > 5 else ''}",
            "commit and push them, or stash them: builders only use what is pushed",
        )
    if checkout.detached:
        yield Finding(
            "detached-head",
            WARNING if checkout.branch else ERROR,
            f"{checkout.path} is not on a branch",
            "switch to a branch: git switch rawhide; or name one with --release before the command",
        )
    else:
        yield from _branch(checkout)


def _branch(checkout: Checkout) -> Iterator[Finding]:
    if not checkout.branch_known:
        yield Finding(
            "branch",
            WARNING,
            f"branch {checkout.branch} does not match the site's naming rule for branches",
            "choose the target with --target",
        )
    if not checkout.upstream:
        yield Finding(
            "no-upstream",
            ERROR,
            f"branch {checkout.branch} does not track a dist-git branch",
            f"push it: git push -u origin HEAD:{checkout.branch}",
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
            f"{checkout.upstream} has {checkout.behind} {commits} missing in this checkout",
            "to include them in the build, pull first: fedpkg pull",
        )
