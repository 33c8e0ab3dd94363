# SPDX-License-Identifier: GPL-2.0-or-later
"""Dockerfiles as buildah builds them, and as we read them: the same labels, ENV, FROM, COPY and refusals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedpkg_container.distgit import dockerfile_rules
from fedpkg_container.distgit.dockerfile import Dockerfile
from fedpkg_container.errors import RefusedError
from fedpkg_container.model.buildah import FEATURES
from fedpkg_container.model.findings import ERROR
from tests.buildah.corpus import ACCEPTED, DIFFERENT, NEWER, REFUSED
from tests.support.plain_buildah import CONTEXT, Built, DockerfileBuilds

pytestmark = [pytest.mark.programs, pytest.mark.timeout(3600)]

#: Reasons for which we refuse what some versions of buildah build.
STRICTER = ("[from-argument]", "which newer versions of buildah refuse", "FROM requires", "with variables substituted")


@pytest.fixture(scope="module")
def buildah(tmp_path_factory: pytest.TempPathFactory) -> DockerfileBuilds:
    return DockerfileBuilds(tmp_path_factory.mktemp("buildah"))


def _errors(dockerfile: Dockerfile) -> list[str]:
    findings = [*dockerfile_rules.check(dockerfile), *dockerfile_rules.check_run(dockerfile)]
    return [str(finding) for finding in findings if finding.severity == ERROR]


def _read(buildah: DockerfileBuilds, text: str, arguments: Mapping[str, str] | None = None) -> tuple[Any, list[str]]:
    """Return a Dockerfile and our errors; None if it cannot be split."""
    try:
        dockerfile = Dockerfile(text, buildah.facts(arguments))
    except RefusedError as error:
        return None, [error.reason]
    return dockerfile, _errors(dockerfile)


def _without(values: Mapping[str, str], names: set[str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if name not in names}


def _compare(dockerfile: Dockerfile, built: Built) -> None:
    base = dockerfile.base.partition(":")[0].rpartition("/")[2]
    labels = {
        **({"which": base} if base else {}),
        **{name: label.value for name, label in dockerfile.label_details.items()},
    }
    unknown = {name for name, label in dockerfile.label_details.items() if label.unknown}
    assert _without(labels, unknown) == _without(built.labels, unknown)
    environment = {name: value.text for name, value in dockerfile.environment.items()}
    unknown = {name for name, value in dockerfile.environment.items() if not value.is_known}
    assert _without(environment, unknown) == _without(built.environment, unknown)
    final = [item for item in dockerfile.instructions if item.stage == len(dockerfile.stages) - 1]
    triggers = tuple(item.words[0].text for item in final if item.name == "ONBUILD")
    assert triggers == built.triggers
    copies = [item for item in final if item.name in ("COPY", "ADD") and not item.options and not item.documents]
    for item in copies:
        if item.arguments[-1] != "/d/":
            continue
        for source in item.arguments[:-1]:
            if source in CONTEXT:
                assert built.files[f"d/{source.rpartition('/')[2]}"] == CONTEXT[source]


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(buildah: DockerfileBuilds, name: str) -> None:
    dockerfile, errors = _read(buildah, ACCEPTED[name])
    built = buildah.build(ACCEPTED[name])
    assert (errors, built.error) == ([], "")
    _compare(dockerfile, built)
    assert all(value.is_known for value in dockerfile.environment.values())
    assert not any(label.unknown for label in dockerfile.label_details.values())


@pytest.mark.parametrize("name", ACCEPTED)
def test_the_rewritten_dockerfile_builds_the_same_image(buildah: DockerfileBuilds, name: str) -> None:
    dockerfile, _ = _read(buildah, ACCEPTED[name])
    given = buildah.build(dockerfile.changed({}))
    assert given == buildah.build(ACCEPTED[name])


@pytest.mark.parametrize("name", REFUSED)
def test_refused(buildah: DockerfileBuilds, name: str) -> None:
    text, reason = REFUSED[name]
    _, errors = _read(buildah, text)
    assert buildah.build(text).error
    assert any(reason in error for error in errors), errors


@pytest.mark.parametrize("name", NEWER)
def test_newer(buildah: DockerfileBuilds, name: str) -> None:
    text, feature = NEWER[name]
    dockerfile, errors = _read(buildah, text)
    built = buildah.build(text)
    missing = [error for error in errors if "[buildah-version]" in error]
    assert all(feature in error for error in missing)
    if "checksum" in built.error and not missing:
        return  # of the wrong value
    known = next(each for each in FEATURES if feature in each.name).known_to(buildah.version)
    refused = missing or (dockerfile.has_here_documents and not known)
    assert (bool(built.error), bool(refused)) == (not known, not known)
    if known:
        _compare(dockerfile, built)


@pytest.mark.parametrize("name", DIFFERENT)
def test_different(buildah: DockerfileBuilds, name: str) -> None:
    dockerfile, errors = _read(buildah, DIFFERENT[name])
    built = buildah.build(DIFFERENT[name])
    assert (errors, built.error) == ([], "")
    _compare(dockerfile, built)
    assert not any(label.unknown for label in dockerfile.label_details.values())
    unknown = Dockerfile(DIFFERENT[name]).label_details
    assert all(label.unknown for label in unknown.values())


_NAME = st.sampled_from(["A", "B", "C", "X", "FGC", "EMPTY", "TARGETARCH"])
_PIECE = st.one_of(
    st.sampled_from(
        [*"abx1.-=/é`", "$A", "${A}", "$B", "$C", "$FGC", "$NAME", "$O", "$PATH", "$TARGETARCH", "${TARGETPLATFORM}"]
    ),
    st.sampled_from(
        ["${B:-d}", "${A:+w}", "${EMPTY:-e}", "${A:-$B}", "${C:+q}", '"$A b"', "'$B c'", "\\$", '\\"', "$$"]
    ),
)
_WORD = st.lists(_PIECE, min_size=1, max_size=4).map("".join)
#: Rarely: what makes most instructions invalid.
_ODD = st.one_of(_WORD, _WORD, _WORD, _WORD, st.sampled_from(["${A#1}", "${A:?e}", "${A-d}", '"', "'", "\\", "${"]))
_SETTING = st.builds("{}={}".format, _NAME, _ODD)
_LINE = st.one_of(
    st.lists(_SETTING, min_size=1, max_size=3).map(lambda words: f"ENV {' '.join(words)}"),
    st.builds("ENV {} {} {}".format, _NAME, _WORD, _WORD),
    st.builds("ARG {}".format, _NAME),
    st.builds("ARG {}".format, _SETTING),
    st.lists(st.builds("l{}={}".format, st.sampled_from("123"), _ODD), min_size=1, max_size=3).map(
        lambda words: f"LABEL {' '.join(words)}"
    ),
    st.builds("LABEL l$A={}".format, _WORD),
    st.builds("LABEL l{} {}".format, st.sampled_from("45"), _WORD),
    st.builds("ONBUILD {}".format, st.sampled_from(["LABEL ob=$A$B", "ENV OB=$A", "ARG A=ob"])),
    st.builds("COPY {}{} /d/".format, st.sampled_from(["", "--chown=0:0 "]), st.sampled_from(["a", "x-$A", "*", "$A"])),
    st.sampled_from(["# comment", "WORKDIR /$A", "EXPOSE $A", "VOLUME /v$A", "LABEL a=1 \\\n# b\n\n c=2", "CMD --x"]),
)
_HEADING = st.sampled_from(["ARG N=plain", "ARG N", "ARG A=9", "ARG B=$A", "ARG TARGETARCH"])
_BASE = st.sampled_from(
    ["scratch", "localhost/plain:1", "localhost/trigger:1", "localhost/${N:-trigger}:1", "localhost/$N:1"]
)
_STAGE = st.tuples(_BASE, st.lists(_LINE, max_size=6))
_FILE = st.tuples(
    st.lists(_HEADING, max_size=3), _STAGE, st.none() | st.tuples(st.just("s0") | _BASE, st.lists(_LINE, max_size=6))
)
_ARGUMENTS = st.sampled_from([{}, {}, {"A": "given"}, {"N": "plain"}])


def _text(parts: Any) -> str:
    heading, (base, lines), second = parts
    more = [f"FROM {second[0]}", *second[1]] if second else []
    return "".join(f"{line}\n" for line in [*heading, f"FROM {base} AS s0", *lines, *more])


#: Errors that only buildah can detect: a file or an image that does not exist.
_ELSEWHERE = ("no such file", "no items matching glob", "invalid reference format", "localhost/")


@settings(max_examples=settings().max_examples // 2)
@given(_FILE.map(_text), _ARGUMENTS)
def test_generated(buildah: DockerfileBuilds, text: str, arguments: Mapping[str, str]) -> None:
    dockerfile, errors = _read(buildah, text, arguments)
    built = buildah.build(text, arguments)
    if built.error:
        assert errors or any(reason in built.error for reason in _ELSEWHERE)
    elif errors:
        assert all(any(reason in error for reason in STRICTER) for error in errors)
    else:
        _compare(dockerfile, built)
