# SPDX-License-Identifier: GPL-2.0-or-later
"""Hostile files and names that need no build: each is refused, on the builder too, and has no other effect."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from fedpkg_container.distgit import dockerfile_rules
from fedpkg_container.distgit.container_yaml import ContainerYaml
from fedpkg_container.distgit.dockerfile import Dockerfile
from fedpkg_container.distgit.dockerfile_facts import BuildFacts, ParentConfig
from fedpkg_container.engines.buildah import Buildah
from fedpkg_container.engines.isolation import Isolation
from fedpkg_container.engines.workspace import Workspace, Workspaces
from fedpkg_container.errors import BuildFailedError, FedpkgContainerError, RefusedError
from fedpkg_container.image.config import read_builder_config
from fedpkg_container.image.resolve.checks import check_here_documents, check_instructions, check_onbuild
from fedpkg_container.image.resolve.identity import identify
from fedpkg_container.image.resolve.names import RequestedFloatingTags
from fedpkg_container.image.resolve.parents import ParentResolver
from fedpkg_container.image.resolve.source import fetch_checkout
from fedpkg_container.model.nvr import NVR
from fedpkg_container.model.platforms import platform_of
from fedpkg_container.registry.skopeo import Access, Registry
from tests.support.sources import scm
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.programs

BASE = "FROM r.io/base:1\n"
SECRET = "the-builders-secret"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Buildah]:
    """An engine; what is requested of it here needs no runtime."""
    workspaces = Workspaces(tmp_path / "state")
    with workspaces.open("build") as workspace:
        yield Buildah(workspaces, workspace, isolation=Isolation("runc"), access=Access())


@pytest.fixture
def workspace(engine: Buildah) -> Workspace:
    return engine.workspace


@pytest.mark.parametrize(
    ("step", "code"),
    [
        ("RUN --security=insecure id", "run-option"),
        ("RUN --network=host id", "run-option"),
        ("RUN --network=$NETWORK id", "run-option"),
        ("RUN --device=/dev/sda id", "run-option"),
        ("RUN \\\n  --network=none \\\n  --security=insecure id", "run-option"),
        ("run --security=insecure id", "run-option"),
        ("RUN --mount=type=secret,id=x id", "run-mount"),
        ("RUN --mount=type=ssh id", "run-mount"),
        ("RUN --mount=target=/x,type=devpts id", "run-mount"),
        ("RUN --mount=type=bind,source=../..,target=/x id", "run-mount"),
        ("RUN --mount=type=secret,id=x,type=bind id", "run-mount"),
        ("RUN --mount=type=bind,src=../..,source=a,target=/x id", "run-mount"),
        ("RUN --mount=type=bind,src=a/../../b,target=/x id", "run-mount"),
    ],
)
def test_what_run_may_not_ask_for(step: str, code: str) -> None:
    dockerfile = Dockerfile(f"{BASE}ARG NETWORK=host\n{step}\n")
    assert [finding.code for finding in dockerfile_rules.check_run(dockerfile)] == [code]
    with pytest.raises(BuildFailedError, match="^Dockerfile:[34]: RUN (option )?--"):
        check_instructions(dockerfile)


@pytest.mark.parametrize(
    "step",
    [
        "RUN id --security=insecure",
        "RUN --network=none id",
        "RUN --mount=type=cache,target=/c --mount=type=tmpfs,target=/t id",
        "RUN --mount=type=bind,source=files,target=/x id",
        "RUN --mount=type=bind,from=0,source=/a..b,target=/x id",
    ],
)
def test_what_run_may_ask_for(step: str) -> None:
    dockerfile = Dockerfile(f"{BASE}{step}\n")
    assert list(dockerfile_rules.check_run(dockerfile)) == []
    check_instructions(dockerfile)


def test_a_platform_has_no_effect() -> None:
    dockerfile = Dockerfile("FROM --platform=linux/s390x r.io/base:1\n")
    assert [finding.code for finding in dockerfile_rules.check_run(dockerfile)] == ["from-platform"]
    assert "--platform" not in dockerfile.changed({"r.io/base:1": "r.io/base@sha256:1"})


@pytest.mark.parametrize(
    "step",
    [
        "COPY --from=docker-archive:/var/tmp/x.tar / /",
        "COPY --from=/etc / /",
        "COPY --from=$IMAGE / /",
        "RUN --mount=type=bind,from=oci:/var/x,target=/m id",
        "RUN --mount=from=registry.example.com/x,target=/m id",
    ],
)
def test_files_of_images_that_no_from_names(step: str) -> None:
    with pytest.raises(BuildFailedError, match=r"^Dockerfile:3: files are copied from .*, which is not"):
        check_instructions(Dockerfile(f"{BASE}ARG IMAGE=x\n{step}\n"))


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ("ADD --chown=0 --from=x / /", "ADD --from=x is not an option of ADD"),
        ('COPY --fr""om=/etc / /', "files are copied from /etc"),
        ("COPY --fr\\om=/etc / /", "files are copied from /etc"),
        ('RUN --moun"t=type=secret" id', "unsupported type secret"),
        ('RUN --mount="type=bind,\\"from=/etc\\"" id', "files are copied from /etc"),
        ("RUN --securit\\y=insecure id", "RUN option --security=insecure is not supported"),
        ("FROM --help", "FROM requires either one argument"),
    ],
)
def test_options_are_read_as_buildah_reads_them(step: str, reason: str) -> None:
    with pytest.raises(BuildFailedError, match=reason):
        check_instructions(Dockerfile(f"{BASE}{step}\n"))


def test_a_quoted_option_is_a_source() -> None:
    assert Dockerfile(f"{BASE}COPY '--from=/etc' / /\n").instructions[-1].arguments == ["--from=/etc", "/", "/"]


@pytest.mark.parametrize(
    "image",
    [
        "docker-archive:/etc/passwd",
        "oci-archive:/etc/passwd:x",
        "dir:/etc",
        "oci:/var/lib/images",
        "containers-storage:[overlay@/var/lib/other+/run/other]x",
        "docker-daemon:x:1",
        "docker://r.io/base:1",
        "-v/etc:/etc",
        "../base:1",
        "r.io/../base:1",
        "short-name",
        "r.io/base:1;id",
        "r.io/$(id)",
    ],
)
def test_a_parent_is_an_image_of_a_registry(tmp_path: Path, image: str) -> None:
    (tmp_path / "site.conf").write_text("[registry]\ncandidate = r.io\n")
    resolver = ParentResolver(
        read_builder_config(tmp_path / "site.conf"), Registry(Access()), [platform_of("x86_64")], lambda _: None
    )
    with pytest.raises(
        FedpkgContainerError,
        match="not an image reference|does not name a registry|names no registry|cannot be read",
    ):
        resolver.resolve(Dockerfile(f"FROM {image}\n"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("#  ESCAPE = ^\nFROM r.io/base:1\n", "cannot be the escape character"),
        ("# escape=`\n# escape=`\nFROM r.io/base:1\n", "second escape directive"),
        ("FROM r.io/base:1\nRUN a \\\u00a0\nFROM oci:/x\n", "line 2 of the Dockerfile: the instruction ends with"),
        ("FROM r.io/base:1\nRUN <<E\n\x0cE\nFROM oci:/x\nE\n", "line 3 of the Dockerfile contains a control character"),
        ("FROM r.io/base:1\nRUN a\rFROM oci:/x\n", "line 2 of the Dockerfile contains a control character"),
        ("FROM r.io/base:1\x00\n", "line 1 of the Dockerfile contains a control character"),
        ('FROM r.io/base:1\nRUN echo "a <<E b"\nFROM oci:/x\nE\n', "line 2: ambiguous <<"),
    ],
)
def test_what_two_programs_would_read_differently(text: str, reason: str) -> None:
    with pytest.raises(RefusedError, match=reason):
        Dockerfile(text)


def test_another_escape_character_hides_no_line() -> None:
    text = "# escape=`\nFROM r.io/base:1\nRUN a `\nFROM oci:/x\nRUN b \\\nFROM r.io/other:1\n"
    dockerfile = Dockerfile(text)
    assert dockerfile.parents == ["r.io/base:1", "r.io/other:1"]
    assert dockerfile.changed({}).splitlines() == [
        *("# escape=`", "FROM r.io/base:1", "RUN a FROM oci:/x", "RUN b \\", "FROM r.io/other:1")
    ]


def test_lines_of_a_here_document_are_those_that_buildah_sees() -> None:
    text = "FROM r.io/base:1\nRUN <<E\nx\u2028E\nE\nFROM r.io/other:1\n"
    assert Dockerfile(text).parents == ["r.io/base:1", "r.io/other:1"]
    assert Dockerfile(text).changed({}) == text


def test_no_line_hides_behind_one_that_python_alone_ends() -> None:
    text = "FROM r.io/base:1\n# a\u2028b\n# a\u2028b\nCOPY --from=oci:/x / /\nRUN <<E\nE\n"
    assert Dockerfile(text).foreign_sources == [("oci:/x", 4)]


def test_a_here_document_is_refused_where_buildah_takes_it_for_instructions(engine: Buildah) -> None:
    dockerfile = Dockerfile("FROM r.io/base:1\nRUN <<E\nFROM oci:/x\nE\n")
    if engine.knows_here_documents():
        check_here_documents(dockerfile, engine)
    else:
        with pytest.raises(BuildFailedError, match="here-documents are not supported by buildah"):
            check_here_documents(dockerfile, engine)


NAMES = ["--tls-verify", "../x", "a/../../b", "/etc", "a b", "a\nb", "$(id)", "x" * 300, "a@sha256:1", "\u00e9", ".1"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("label", ["name", "version", "release", "com.redhat.component"])
def test_names_are_no_options_and_no_paths(label: str, name: str) -> None:
    labels = {"com.redhat.component": "c", "name": "n", "version": "1", "release": "1", label: name}
    dockerfile = cast(Dockerfile, SimpleNamespace(labels=labels, label_details={}))
    with pytest.raises(BuildFailedError):
        identify(dockerfile, {})


@pytest.mark.parametrize("tag", ["../x", "..", ".x", "a b", "a/b", "$(id)", "a\x1b[2Jb", "x" * 129])
def test_tags_are_no_paths(tag: str) -> None:
    assert RequestedFloatingTags(["additional-tags"], additional=[tag]).of(NVR("c", "1", "1")) == ()
    assert RequestedFloatingTags(["container-yaml"], container_yaml=[tag]).of(NVR("c", "1", "1")) == ()


@pytest.mark.parametrize("name", ["Dockerfile", "container.yaml"])
def test_files_that_are_links_to_the_builders(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text(f"platforms: {{only: [{SECRET}]}}\n")
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / name).symlink_to(tmp_path / "secret")
    if name == "Dockerfile":
        with pytest.raises(RefusedError, match="leads out of the checkout") as caught:
            Dockerfile.read(checkout)
        assert SECRET not in str(caught.value)
    else:
        yaml = ContainerYaml.read(checkout)
        assert yaml.platforms.only == ()
        assert [finding.code for finding in yaml.findings] == ["yaml-unreadable"]


def _git(directory: Path, *arguments: str) -> None:
    settings = ["-c", "user.name=x", "-c", "user.email=x@x", "-c", "protocol.file.allow=always"]
    subprocess.run(["git", *settings, *arguments], cwd=directory, check=True, capture_output=True, timeout=PATIENCE)


def test_a_hostile_repository(tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Filters, hooks and submodules: of the builder's own settings and of the repository."""
    home, evil, private = tmp_path / "home", tmp_path / "evil", tmp_path / "private"
    for directory in (home, evil, private):
        directory.mkdir()
    for directory in (private, evil):
        _git(directory, "init", "--quiet", "--initial-branch=rawhide")
        (directory / "Dockerfile").write_text(f"{BASE}# {SECRET}\n")
        _git(directory, "add", "--all")
        _git(directory, "commit", "--quiet", "--message=begin")
    (evil / ".gitattributes").write_text("* filter=evil ident export-subst\n")
    (evil / "secret").symlink_to(tmp_path / "private/Dockerfile")
    _git(evil, "submodule", "add", "--quiet", str(private), "sub")
    _git(evil, "add", "--all")
    _git(evil, "commit", "--quiet", "--message=evil")
    hook = home / "hooks" / "post-checkout"
    hook.parent.mkdir()
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hooked\n")
    hook.chmod(0o755)
    (home / ".gitconfig").write_text(
        f'[filter "evil"]\n\tsmudge = touch {tmp_path}/filtered; cat\n'
        f"[core]\n\thooksPath = {hook.parent}\n[submodule]\n\trecurse = true\n[protocol]\n\tallow = always\n"
    )
    monkeypatch.setenv("HOME", str(home))
    for name in [each for each in os.environ if each.startswith(("GIT_", "XDG_"))]:
        monkeypatch.delenv(name)
    url = scm("git+file://", "", str(evil), "rawhide")
    checkout = fetch_checkout(url, workspace, lambda _: None)
    assert (checkout.path / "Dockerfile").is_file()
    assert list((checkout.path / "sub").iterdir()) == []
    assert not (tmp_path / "filtered").exists()
    assert not (tmp_path / "hooked").exists()


@pytest.mark.parametrize("revision", ["--upload-pack=touch${IFS}pwned", "-x", "../../x", "rawhide..x", "a b"])
def test_revisions_are_no_options(
    tmp_path: Path, workspace: Workspace, revision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _git(tmp_path, "init", "--quiet", "--bare", "origin.git")
    url = scm("git+file://", "", f"{tmp_path}/origin.git", revision)
    with pytest.raises(BuildFailedError, match="cannot fetch"):
        fetch_checkout(url, workspace, lambda _: None)
    assert not list(tmp_path.rglob("pwned"))


TRIGGER = "RUN --security=insecure id"


@pytest.mark.parametrize(
    ("triggers", "reason"),
    [
        (["# escape=`", "CMD a \\", TRIGGER], "a comment"),
        (["CMD a \\", TRIGGER], "several lines"),
        (["CMD a \\\u2003", TRIGGER], "several lines"),
        (["CMD a\n" + TRIGGER], "several lines"),
        ([" ", "CMD a"], "an empty line"),
        (["CMD a", TRIGGER], "RUN option --security=insecure"),
    ],
)
def test_triggers_of_a_parent_are_read_as_buildah_joins_them(triggers: list[str], reason: str) -> None:
    """With the directive, buildah 1.28 executes the last one, which a reader without it takes for words of CMD."""
    with pytest.raises(BuildFailedError, match=reason):
        check_onbuild("r.io/base:1", triggers)


def test_triggers_of_a_parent_are_checked_with_its_variables() -> None:
    parents = {"r.io/base:1": ParentConfig({"OTHER": "r.io/other:1"}, ("COPY --from=$OTHER /a /b",))}
    dockerfile = Dockerfile(f"{BASE}CMD a\n", BuildFacts(parents=parents))
    with pytest.raises(BuildFailedError, match=r"copied from r\.io/other:1, which is not named in a FROM"):
        check_instructions(dockerfile)
    parents = {"r.io/base:1": ParentConfig({}, (TRIGGER,))}
    with pytest.raises(BuildFailedError, match="RUN option --security=insecure"):
        check_instructions(Dockerfile(f"{BASE}CMD a\n", BuildFacts(parents=parents)))


@pytest.mark.parametrize("name", ["scratch", "Scratch"])
def test_no_stage_is_named_like_an_empty_image(name: str) -> None:
    """buildah 1.28 reads FROM scratch as the empty image, other programs as the stage."""
    with pytest.raises(BuildFailedError, match="invalid stage name"):
        check_instructions(Dockerfile(f"{BASE[:-1]} AS {name}\nFROM scratch\nCMD a\n"))


@pytest.mark.parametrize("word", ["${x:-<}<E", "${x:-${y:-}<}<E", '${x:-"}"<}<E', "${x:-\\}<}<E", "${x:-'<'}<E"])
def test_a_hidden_here_document(word: str) -> None:
    with pytest.raises(RefusedError, match="ambiguous <<"):
        Dockerfile(f"FROM scratch\nRUN a {word}\n")


@pytest.mark.parametrize("word", ["${x%<*}<E", '"${x:-"a"}" < f', "\"${x:-'a'}\" < f", "${x-a} < f"])
def test_no_here_document(word: str) -> None:
    assert not Dockerfile(f"FROM scratch\nRUN a {word}\n").has_here_documents
