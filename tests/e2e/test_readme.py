# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands of README.md, typed as they are written there into bash, zsh and fish, in a checkout of a box."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fedpkg_container.box.box import Box
from fedpkg_container.box.demo import site
from fedpkg_container.box.layout import ADMIN, Layout
from fedpkg_container.box.machines import machines
from fedpkg_container.hub.session import log_out
from tests.support.documented import DOCS
from tests.support.furnished import furnish, running
from tests.support.packager import Packager
from tests.support.typed import SHELLS, TypingShell, lines, link_source

pytestmark = pytest.mark.slow

README = DOCS.parent / "README.md"
#: Seconds for one command.
TIMEOUT = 400
#: Commands that fail in a new box, with these words: an image that exists nowhere, the only build of an image.
PLACEHOLDERS = {
    "fedpkg-container-registry import-base registry.example.org/fedora:42": "registry.example.org",
    "fedpkg-container-registry unpromote NVR": "there is no previous build",
}


@pytest.fixture(scope="module")
def distributing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A box with a distribution."""
    directory = tmp_path_factory.mktemp("box")
    layout = Layout.open(directory / "box", builders=machines(1)).with_distribution()
    with running(Box(layout)) as box:
        furnish(box, directory)
        session = box.session(ADMIN)
        session.createTag(site.STABLE_TAG)
        log_out(session)
        yield box


def _tag_as_tested(packager: Packager, nvr: str) -> None:
    session = packager.box.session(ADMIN)
    session.packageListAdd(site.STABLE_TAG, f"{packager.name}-container", owner=ADMIN)
    session.tagBuildBypass(site.STABLE_TAG, nvr)
    log_out(session)


@pytest.mark.parametrize("name", SHELLS)
def test_the_commands_of_readme(name: str, distributing: Box, tmp_path: Path) -> None:
    packager = Packager.make(distributing, tmp_path)
    packager.commit(packager.dockerfile())
    nvr = f"{packager.name}-container-1.0-1"
    source = tmp_path / "source"
    link_source(source)
    # make demo and make check run for minutes, and are run by CI: here make prints what it would run.
    environment = {**packager.environment, "MAKEFLAGS": "n"}
    # As for a new user: the name fedpkg is that of the link that a command makes.
    home = Path(environment["HOME"])
    others = [each for each in environment["PATH"].split(":") if each != str(home / "bin")]
    environment["PATH"] = ":".join([str(home / ".local" / "bin"), *others])
    shell = TypingShell(name, environment, source, timeout=TIMEOUT)
    try:
        for line in lines(README):
            if line == "fedpkg-container container-enable":  # the first of those in a checkout
                assert shell.type(f"cd {packager.checkout}").status == 0
            if line.startswith("fedpkg-container-registry promote"):
                _tag_as_tested(packager, nvr)
            result = shell.type(line.replace("NVR", nvr))
            if line in PLACEHOLDERS:
                assert result.status == 1, result.output
                assert PLACEHOLDERS[line] in result.output
            else:
                assert result.status == 0, f"{line}\n{result.output}"
    finally:
        shell.close()
