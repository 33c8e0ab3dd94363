# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading a Dockerfile when not everything is known: what buildah does with it is compared in ``tests/buildah``."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedpkg_container.distgit import dockerfile_rules, label_rules
from fedpkg_container.distgit.dockerfile import Dockerfile
from fedpkg_container.distgit.dockerfile_facts import BuildFacts, ParentConfig
from fedpkg_container.errors import BuildFailedError, RefusedError
from fedpkg_container.image.resolve.checks import check_instructions, check_onbuild
from fedpkg_container.image.resolve.identity import ArchReadings, check_identity, identify
from fedpkg_container.model.platforms import Platform, platform_of

BASE = "r.io/base:1"
FROM = f"FROM {BASE}\n"
IDENTITY = 'LABEL com.redhat.component=c name="$FGC/c" version=1 release="2.$DISTTAG"\n'
PARENTS = {BASE: ParentConfig({"FGC": "f41", "DISTTAG": "fc41"})}


def _label(text: str, name: str = "l", **facts: object) -> tuple[str, set[str], set[str]]:
    label = Dockerfile(text, BuildFacts(**facts)).label_details[name]  # type: ignore[arg-type]
    return label.value, set(label.unknown), set(label.unset)


@pytest.mark.parametrize(
    ("text", "value", "unknown", "unset"),
    [
        (f"{FROM}LABEL l=1.$V", "1.${V}", {"V"}, set()),
        (f"{FROM}LABEL l=${{V:-d}}", "${V}", {"V"}, set()),
        (f"{FROM}LABEL l=${{V:+w}}", "${V}", {"V"}, set()),
        (f"{FROM}LABEL l=${{V#v}}", "${V}", {"V"}, set()),
        (f"{FROM}ENV V=1\nLABEL l=$V", "1", set(), set()),
        (f"{FROM}ENV A=$V\nENV B=1.$A\nLABEL l=$B", "1.${V}", {"V"}, set()),
        (f"{FROM}ARG V=1\nLABEL l=$V", "1", set(), set()),
        (f"{FROM}ARG V\nLABEL l=$V", "${V}", {"V"}, set()),
        ("FROM scratch\nLABEL l=1.$V", "1.", set(), {"V"}),
        ("FROM scratch\nENV A=1.$V\nLABEL l=$A", "1.", set(), {"V"}),
        ("FROM scratch\nLABEL l=${V:-d}${V:+w}", "d", set(), set()),
        ("FROM scratch\nENV V=\nLABEL l=1$V", "1", set(), set()),
        ("FROM scratch\nARG TARGETARCH\nLABEL l=$TARGETARCH", "${TARGETARCH}", {"TARGETARCH"}, set()),
        ("FROM scratch\nLABEL l=1$TARGETARCH", "1", set(), {"TARGETARCH"}),
        ("FROM scratch\nARG SOURCE_DATE_EPOCH=1\nLABEL l=$SOURCE_DATE_EPOCH", "${SOURCE_DATE_EPOCH}", None, set()),
    ],
)
def test_unknown_is_not_empty(text: str, value: str, unknown: set[str] | None, unset: set[str]) -> None:
    found = _label(f"{text}\n")
    assert found[0] == value
    assert unknown is None or found[1] == unknown
    assert bool(found[1]) == (unknown is None or bool(unknown))
    assert found[2] == unset


def test_parents_decide() -> None:
    text = f"{FROM}ARG FGC=x\nLABEL l=$FGC m=$MISSING\n"
    assert _label(text, parents=PARENTS) == ("f41", set(), set())
    assert _label(text, "m", parents=PARENTS) == ("", set(), {"MISSING"})


def test_variables_of_the_build() -> None:
    text = "FROM scratch\nARG A=1\nARG TARGETARCH\nLABEL l=$A.$TARGETARCH.$RELEASE\n"
    found = _label(text, arguments={"A": "2"}, platform=Platform("arm64", "v8"), environment={"RELEASE": "3"})
    assert found == ("2.arm64.3", set(), set())
    assert _label(text, environment={"RELEASE": None})[1] == {"TARGETARCH", "RELEASE"}


def test_labels_that_depend_on_the_builder_are_a_note() -> None:
    found = [(each.code, each.severity) for each in label_rules.check(Dockerfile(FROM + IDENTITY)) if each.line]
    assert found == [("label-unknown", "note"), ("label-unknown", "note")]
    known = Dockerfile(FROM + IDENTITY, BuildFacts(parents=PARENTS))
    assert [each for each in label_rules.check(known) if each.line] == []
    assert known.labels["release"] == "2.fc41"


OVERRIDABLE = """ARG TAG=41
FROM registry.example.com/fedora:$TAG
ARG VERSION=1.2
ENV V=$VERSION
LABEL com.redhat.component=x name=x version=$V release=1
"""


def test_argument_that_an_unknown_parent_may_override_is_not_claimed() -> None:
    dockerfile = Dockerfile(OVERRIDABLE)
    label = dockerfile.label_details["version"]
    assert (label.value, label.overridable) == ("1.2", frozenset({"VERSION"}))
    assert dockerfile.unknown_labels == {"version"} and "version" not in dockerfile.labels
    assert label_rules.depends_on_parents(dockerfile)
    notes = [finding.message for finding in label_rules.check(dockerfile) if finding.code == "label-unknown"]
    assert notes == ["label version is '1.2' unless the base image sets $VERSION"]


@pytest.mark.parametrize(("environment", "version"), [({}, "1.2"), ({"VERSION": "9"}, "9"), ({"V": "9"}, "1.2")])
def test_argument_is_claimed_once_the_parent_is_known(environment: dict[str, str], version: str) -> None:
    parents = {"registry.example.com/fedora:41": ParentConfig(environment)}
    dockerfile = Dockerfile(OVERRIDABLE, BuildFacts(parents=parents))
    assert (dockerfile.labels["version"], dockerfile.unknown_labels) == (version, frozenset())
    assert not label_rules.depends_on_parents(dockerfile)


def test_identity_needs_all_variables() -> None:
    assert identify(Dockerfile(FROM + IDENTITY, BuildFacts(parents=PARENTS)), {}).release == "2.fc41"
    with pytest.raises(BuildFailedError, match=r"label name = '/c' is incomplete: \$FGC has no value"):
        identify(Dockerfile(FROM + IDENTITY, BuildFacts(parents={BASE: ParentConfig()})), {})
    with pytest.raises(BuildFailedError, match=r"label name depends on \$FGC, which is not known before the build"):
        identify(Dockerfile(FROM + IDENTITY), {})
    only_release = IDENTITY.replace("$FGC/", "")
    assert identify(Dockerfile(FROM + only_release), {"release": "5"}).release == "5"


def _readings(text: str) -> ArchReadings:
    platforms = [platform_of("x86_64"), platform_of("aarch64")]
    return ArchReadings({each: Dockerfile(text, BuildFacts(platform=each)) for each in platforms})


def test_variables_of_the_identity_may_be_those_of_a_parent() -> None:
    """ENV of the parent takes precedence over ARG, which the Dockerfile sets."""
    text = f"FROM {BASE}\nARG VERSION=1\nLABEL version=%s\n"
    assert _readings(text % "$VERSION").needs_parents
    assert not _readings(text % "1").needs_parents


def test_identity_is_the_same_for_all_architectures() -> None:
    text = "FROM scratch\nARG TARGETARCH\nLABEL com.redhat.component=c name=c version=1 x=$TARGETARCH\n"
    assert _readings(text).identify({}).version == "1"
    with pytest.raises(
        BuildFailedError, match=r"differ by architecture: c-1-amd64 \(c\), but c-1-arm64 \(c\) on arm64/v8"
    ):
        _readings(f"{text}LABEL release=$TARGETARCH\n").identify({})
    check_identity(_readings(text).first, {"version": "1"}, "x86_64")
    with pytest.raises(BuildFailedError, match="label version is '1' on x86_64, but '2' in the plan"):
        check_identity(_readings(text).first, {"version": "2"}, "x86_64")


def test_from_may_differ_by_architecture() -> None:
    readings = _readings("ARG TARGETARCH\nFROM r.io/base-$TARGETARCH:1\n")
    assert [each.parents for each in readings.by_platform.values()] == [["r.io/base-amd64:1"], ["r.io/base-arm64:1"]]
    unknown = Dockerfile("FROM r.io/base-$TARGETARCH:1\n")
    assert unknown.parents == []
    assert [each.code for each in dockerfile_rules.check(unknown) if each.severity == "error"] == []


def test_stages_that_depend_on_the_platform() -> None:
    text = "FROM r.io/a:1 AS build-amd64\nFROM r.io/b:1\nARG TARGETARCH\nCOPY --from=build-$TARGETARCH /a /a\n"
    assert Dockerfile(text).foreign_sources == []
    platforms = {each: BuildFacts(platform=Platform(each)) for each in ("amd64", "s390x")}
    assert Dockerfile(text, platforms["amd64"]).foreign_sources == []
    assert Dockerfile(text, platforms["amd64"]).built_stages == {0, 1}
    assert Dockerfile(text, platforms["s390x"]).foreign_sources == [("build-s390x", 4)]
    with pytest.raises(BuildFailedError, match=r"^FROM r.io/a:1: ONBUILD of this image is not allowed: .* files are"):
        check_onbuild("r.io/a:1", ["ARG TARGETARCH", "COPY --from=r.io/evil-$TARGETARCH:1 /a /a"])


def test_images_of_from_are_pinned_in_copy_too() -> None:
    text = (
        f'{FROM}FROM r.io/b:1 AS b\nCOPY --chown="1:0" --from={BASE} /a /a\n'
        f"RUN --mount=type=bind,from={BASE},target=/m id\n"
        "ARG S=b\nFROM scratch\nARG S=b\nCOPY --from=$S /b /b\n"
    )
    dockerfile = Dockerfile(text)
    check_instructions(dockerfile)
    changed = dockerfile.changed({BASE: "r.io/base@sha256:1", "r.io/b:1": "r.io/b@sha256:2"})
    assert changed.splitlines() == [
        "FROM r.io/base@sha256:1",
        "FROM r.io/b@sha256:2 AS b",
        'COPY --chown="1:0" --from=r.io/base@sha256:1 /a /a',
        "RUN --mount=type=bind,from=r.io/base@sha256:1,target=/m id",
        *("ARG S=b", "FROM scratch", "ARG S=b", "COPY --from=b /b /b"),
    ]
    assert dockerfile.built_stages == {1, 2}


def test_features_are_warnings_without_a_version() -> None:
    text = f"{FROM}COPY --parents a /\n"
    by_version = {
        version: [
            each.severity
            for each in dockerfile_rules.check(Dockerfile(text, BuildFacts(version=version)))
            if each.code == "buildah-version"
        ]
        for version in (None, (1, 39, 0), (1, 40, 0))
    }
    assert by_version == {None: ["warning"], (1, 39, 0): ["error"], (1, 40, 0): []}


@pytest.mark.parametrize("config", [{"Env": "x"}, {"Env": [1]}, {"OnBuild": {"a": 1}}, {"OnBuild": [None]}])
def test_malformed_configuration_of_a_parent(config: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="is not a list of texts"):
        ParentConfig.read({"config": config})


_PIECES = st.sampled_from(
    "$ { } ${ : - + # % / // * ? [ ] ^ \\ ' \" ` a b A B = , . < << <<A A \n # escape= FROM scratch LABEL ENV ARG"
    " COPY RUN ONBUILD EXPOSE --from= --mount= --chown= $A ${A ${A# ${A// TARGETARCH é \u00a0 \u2028 \t".split(" ")
)


@given(st.lists(_PIECES, max_size=40).map("".join), st.lists(_PIECES, max_size=12).map("".join))
def test_any_text_yields_values_or_an_error(text: str, trigger: str) -> None:
    """Also with any ONBUILD of the parent."""
    for facts in (
        BuildFacts(),
        BuildFacts(platform=Platform("amd64"), parents={"scratch": ParentConfig({}, (trigger,))}),
    ):
        for before in ("", "FROM scratch\n", f"FROM {BASE}\nENV A=aaaa\nLABEL l="):
            try:
                dockerfile = Dockerfile(before + text, facts)
                changed = dockerfile.changed({BASE: f"{BASE}@sha256:1"})
                again = Dockerfile(changed, facts)
            except RefusedError as error:
                assert error.solution
                continue
            assert [each.severity for each in dockerfile_rules.check(dockerfile)]
            list(dockerfile_rules.check_run(dockerfile))
            assert again.labels == dockerfile.labels
            assert [item.name for item in again.instructions] == [item.name for item in dockerfile.instructions]
            assert not any(value in dockerfile.labels for value in dockerfile.unknown_labels)
