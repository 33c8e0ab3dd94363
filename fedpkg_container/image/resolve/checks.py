# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks of a Dockerfile on builders, before anything is pulled: clients may have skipped theirs."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from pathlib import Path

from fedpkg_container.distgit import dockerfile_rules
from fedpkg_container.distgit.copy_sources import ContextCheck
from fedpkg_container.distgit.dockerfile import Dockerfile
from fedpkg_container.distgit.dockerfile_facts import BuildFacts
from fedpkg_container.distgit.dockerfile_lexer import ESCAPE
from fedpkg_container.distgit.dockerfile_words import trim
from fedpkg_container.distgit.file_tree import TreeOnDisk
from fedpkg_container.distgit.ignore_file import IgnoreFile
from fedpkg_container.engines import binfmt
from fedpkg_container.engines.buildah import Buildah
from fedpkg_container.errors import BuildFailedError, RefusedError
from fedpkg_container.model.findings import ERROR, Finding
from fedpkg_container.model.platforms import Platform, go_arch


def check_instructions(dockerfile: Dockerfile) -> None:
    """Reject what buildah refuses, unsupported options of RUN, and COPY from images that no FROM names.

    :raises BuildFailedError: if there is any of these
    """
    _refuse((*dockerfile_rules.check_run(dockerfile), *dockerfile_rules.check(dockerfile)), dockerfile)


def check_sources(dockerfile: Dockerfile, directory: Path, *, lookaside: Sequence[str] = ()) -> None:
    """Reject sources of COPY that are missing or excluded, and git submodules, which are empty directories.

    :param directory: the checkout, as git created it
    :param lookaside: names of files that will be downloaded into it
    :raises BuildFailedError: if there are any
    """
    tree = TreeOnDisk(directory, extra=lookaside, fresh=True)
    _refuse(ContextCheck(tree, IgnoreFile.read(directory, dockerfile.file)).findings(dockerfile), dockerfile)


def _refuse(findings: Iterable[Finding], dockerfile: Dockerfile) -> None:
    """Raise the first error among some findings about a Dockerfile."""
    for finding in dockerfile_rules.named(findings, dockerfile):
        if finding.severity == ERROR:
            raise BuildFailedError(finding.located_message, solution=finding.solution)


def check_onbuild(name: str, triggers: Sequence[str]) -> None:
    """Reject an image whose ONBUILD has unsupported instructions: buildah executes them after FROM.

    buildah joins them to one text, so none may change how the next one is read: a comment may be a directive, and an
    escape character at the end continues a line.

    :param name: reference as written in FROM
    :raises BuildFailedError: if it has any
    """
    try:
        for trigger in triggers:
            if "\n" in trigger or trim(trigger).endswith(ESCAPE):
                raise RefusedError("an instruction has several lines")
            if not trim(trigger) or trim(trigger).startswith("#"):
                raise RefusedError("a comment or an empty line")
        facts = BuildFacts(platform=Platform("amd64"))  # any: nothing may depend on what is not known
        check_instructions(Dockerfile("\n".join(["FROM scratch", *triggers, ""]), facts))
    except (BuildFailedError, RefusedError) as error:
        raise BuildFailedError(
            f"FROM {name}: ONBUILD of this image is not allowed: {error.reason}", solution="use another base image"
        ) from error


def check_here_documents(dockerfile: Dockerfile, engine: Buildah) -> None:
    """Reject here-documents if buildah does not support them: it would execute their unchecked lines as instructions.

    :raises BuildFailedError: if there are any, and this buildah does not support them
    """
    if dockerfile.has_here_documents and not engine.knows_here_documents():
        raise BuildFailedError(
            f"here-documents are not supported by buildah {engine.version()} of this builder",
            solution="move their lines to files, and COPY these",
        )


def check_runnable(dockerfile: Dockerfile, arch: str, directory: Path) -> None:
    """Reject RUN for an architecture that this machine cannot execute; other Dockerfiles always pass.

    :param arch: Koji's name of the architecture
    :param directory: for a test program
    :raises BuildFailedError: if it has RUN and cannot be executed; names the line
    """
    lines = dockerfile.run_lines
    if not lines or binfmt.executes(go_arch(arch), directory):
        return
    raise BuildFailedError(
        f"{dockerfile.file}:{lines[0]}: cannot execute RUN for {arch}: this machine is {platform.machine()}, without a"
        f" binfmt_misc handler for {arch}",
        solution=f"avoid RUN, or build on a machine that executes {arch} (or emulates it: see docs/howto/site.md)",
    )
