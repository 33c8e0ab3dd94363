# SPDX-License-Identifier: GPL-2.0-or-later
"""Dockerfiles in the idioms of Fedora's container guidelines: names and releases from the ENV of the base image."""

from __future__ import annotations

import pytest

from fedpkg_container.box.box import Box
from fedpkg_container.box.layout import ADMIN
from fedpkg_container.model.platforms import platform_of
from fedpkg_container.model.reference import ImageReference
from tests.support.leftovers import registry_of
from tests.support.packager import Packager, pull_specs

GUIDELINES = """\
ARG TAG=1.0-1
FROM {registry}/{name}:${{TAG:-latest}}
ENV NAME={name} VERSION=1.2 RELEASE=3
LABEL com.redhat.component="$NAME-container" \\
      name="$FGC/$NAME" \\
      version="$VERSION" \\
      release="$RELEASE.$DISTTAG" \\
      maintainer="tests" \\
      summary="$NAME $DISTTAG" \\
      usage="podman run $FGC/$NAME"
ARG TARGETARCH
COPY bin-$TARGETARCH file-$DISTTAG /files/
CMD ["true"]
"""


@pytest.fixture(scope="module")
def derived(box: Box, tmp_path_factory: pytest.TempPathFactory) -> Packager:
    """A package whose first build is an image whose ENV its derived images use."""
    packager = Packager.make(box, tmp_path_factory.mktemp("derived"))
    packager.commit(packager.dockerfile("ENV FGC=f41 DISTTAG=fc41"))
    done = packager.build()
    assert done.returncode == 0, done.stdout + done.stderr
    return packager


def _anonymous_requests(box: Box) -> int:
    """Return the number of requests to the hub without a login, as a dry run sends them."""
    return sum(line.split()[1] == "-" for line in box.layout.access_log.read_text().splitlines())


def _text(packager: Packager) -> str:
    return GUIDELINES.format(registry=packager.box.layout.registry_address, name=packager.name)


def test_dockerfile_of_the_guidelines(derived: Packager, box: Box) -> None:
    packager = derived
    packager.commit(_text(packager), files={"bin-amd64": "binary", "file-fc41": "file"})
    before = _anonymous_requests(box)
    checked = packager.run("fedpkg", "-v", "container-build", "--dry-run", check=False)
    assert _anonymous_requests(box) - before <= 3  # target and parents, checks, HEAD
    record = f"configuration recorded with build {packager.name}-container-1.0-1"
    assert record in checked.stderr, checked.stdout + checked.stderr
    assert f"would submit a build of {packager.name}-container-1.2-3.fc41" in checked.stdout
    done = packager.build()
    assert done.returncode == 0, done.stdout + done.stderr
    nvr = f"{packager.name}-container-1.2-3.fc41"
    assert f"built {nvr} (build " in done.stdout
    by_tag, by_digest = pull_specs(done.stdout)
    assert by_tag == f"{box.layout.registry_address}/f41/{packager.name}:1.2-3.fc41"
    image = ImageReference.parse(by_digest)
    tags = [tag for tag in registry_of(box).tags(image) if not tag.startswith("sha256-")]
    assert {"1.2-3.fc41", "1.2", "latest"} <= set(tags)
    build = box.session(ADMIN).getBuild(nvr)
    assert (build["version"], build["release"]) == ("1.2", "3.fc41")
    (archive,) = box.session(ADMIN).listArchives(buildID=build["id"], type="image")
    labels = archive["extra"]["docker"]["config"]["config"]["Labels"]
    assert labels["name"] == f"f41/{packager.name}"
    assert labels["summary"] == f"{packager.name} fc41"


def test_label_that_nothing_completes_is_refused(packager: Packager) -> None:
    packager.commit(packager.dockerfile("RUN true", release="1.$DISTTAG"))
    offline = packager.build("--dry-run", "--offline")
    assert offline.returncode == 0
    assert "note: label release depends on $DISTTAG, known only to the builder [label-unknown]" in offline.stderr
    incomplete = "label release = '1.' is incomplete: $DISTTAG has no value"
    by_client = packager.build()  # which reads the base image
    assert (by_client.returncode, incomplete in by_client.stderr) == (3, True)
    by_builder = packager.build("--skip-check", "label-unresolved")
    assert by_builder.returncode not in (0, 3)
    printed = by_builder.stdout + by_builder.stderr
    assert incomplete in printed
    assert f"neither the Dockerfile nor {packager.base} sets it" in printed


def test_source_with_a_variable_of_the_base_image_is_checked(derived: Packager) -> None:
    (derived.checkout / "file-fc41").unlink(missing_ok=True)
    derived.commit(_text(derived), files={"bin-amd64": "another"})
    done = derived.build()
    assert done.returncode != 0
    assert "COPY: file-fc41 does not exist" in done.stdout + done.stderr


@pytest.mark.slow
def test_default_of_the_stage_counts(packager: Packager, box: Box) -> None:
    text = packager.dockerfile("RUN true").replace('version="1.0"', "version=$V")
    packager.commit(f"ARG V=1\n{text}".replace("LABEL", "ARG V=2\nLABEL", 1))
    done = packager.build()
    assert f"built {packager.name}-container-2-1 " in done.stdout, done.stdout + done.stderr
    image = ImageReference.parse(pull_specs(done.stdout)[1])
    assert registry_of(box).configuration(image, platform_of("x86_64"))["config"]["Labels"]["version"] == "2"


@pytest.mark.slow
def test_files_of_an_image_that_a_from_names(packager: Packager) -> None:
    copied = f'COPY --chown="0:0" --from="{packager.base}" /bin/sh /copied'
    packager.commit(packager.dockerfile(copied, "RUN test -s /copied"))
    done = packager.build("--scratch")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f'COPY --chown="0:0" --from={packager.base.rpartition(":")[0]}@sha256:' in done.stdout
