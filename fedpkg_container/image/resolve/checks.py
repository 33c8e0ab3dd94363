"""What builders refuse in a Dockerfile, whichever client submitted it, before anything is pulled."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path

from fedpkg_container.distgit import dockerfile_rules
from fedpkg_container.distgit.dockerfile import FILE, Dockerfile
from fedpkg_container.engines import machine
from fedpkg_container.engines.buildah import Buildah
from fedpkg_container.errors import BuildFailedError, RefusedError
from fedpkg_container.model.findings import ERROR
from fedpkg_container.model.platforms import go_arch


def check_instructions(dockerfile: Dockerfile) -> None:
    """Refuse options that builders do not give, and files of images that no FROM names.

    :raises BuildFailedError: there are some
    """
    for finding in dockerfile_rules.check_run(dockerfile):
        if finding.severity == ERROR:
            raise BuildFailedError(f"{finding.file}:{finding.line}: {finding.message}", solution=finding.solution)
    for image, line in dockerfile.foreign_sources:
        raise BuildFailedError(
            f"Dockerfile:{line}: files are taken from {image}, which no FROM names",
            solution=f"name it as a stage: FROM {image} AS files, and use --from=files",
        )


def check_onbuild(name: str, triggers: Sequence[str]) -> None:
    """Refuse an image whose ONBUILD gives what builders refuse in a Dockerfile: buildah executes it after FROM.

    :param name: as FROM names the image
    :raises BuildFailedError: it does
    """
    try:
        check_instructions(Dockerfile("\n".join(["FROM scratch", *triggers, ""])))
        if any("\n" in each for each in triggers):
            raise RefusedError("it has several lines")
    except (BuildFailedError, RefusedError) as error:
        raise BuildFailedError(
            f"FROM {name}: ONBUILD of this image is refused: {error.reason}", solution="use another base image"
        ) from error


def check_here_documents(dockerfile: Dockerfile, engine: Buildah) -> None:
    """Refuse here-documents where buildah would take their lines for instructions, which nobody has checked.

    :raises BuildFailedError: there are some, and this buildah does not know them
    """
    if dockerfile.has_here_documents and not engine.knows_here_documents():
        raise BuildFailedError(
            f"the Dockerfile has here-documents, which buildah {engine.version()} of this builder does not know",
            solution="put their lines into files, and COPY them",
        )


def check_runnable(dockerfile: Dockerfile, arch: str, directory: Path) -> None:
    """Refuse RUN for an arch that this machine does not execute; what only copies files is built anywhere.

    :param arch: Koji's name
    :param directory: where a program may be written for a trial
    :raises BuildFailedError: it names the line and the arch
    """
    lines = dockerfile.run_lines
    if not lines or machine.executes(go_arch(arch), directory):
        return
    raise BuildFailedError(
        f"{FILE}:{lines[0]}: RUN cannot be executed for {arch} here: this machine is {platform.machine()}, and no"
        f" handler for {arch} is registered with it",
        solution=f"do without RUN, or build on a machine that executes {arch} (or emulates it: see docs/site.md)",
    )
