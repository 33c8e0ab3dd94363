# SPDX-License-Identifier: GPL-2.0-or-later
"""What is checked is what is built: splitting any Dockerfile into instructions."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fedpkg_container.distgit import dockerfile_rules
from fedpkg_container.distgit.dockerfile import Dockerfile
from fedpkg_container.errors import BuildFailedError, RefusedError
from fedpkg_container.image.resolve.checks import check_instructions

BASE = "FROM r.io/base:1\n"
SMUGGLED = "RUN --security=insecure id\nFROM r.io/evil:1\n"
_WORDS = """
FROM RUN COPY ADD LABEL ENV ARG ONBUILD run fr om r.io/a:1 AS x 0 a=b id " ' \\ \\\\ $x ${x} ${x:-<} ${x:?} # #x = , [ ]
--from=x --security=insecure --mount=type=cache,target=/x --"from"=x --$x=y -- < > << <<EOF <<-EOF 3<<E <<"EOF" <<E-F
<<# EOF E E-F
""".split()
_SPACES = ["\t", "\u00a0", "\u2028", "\x85", "\ufeff", "\r", "\x0c", ""]
_PIECES = st.sampled_from([*_WORDS, *_SPACES, "# here-document line 0", "# here-document line 1"])
_LINE = st.lists(_PIECES, max_size=5).flatmap(
    lambda pieces: st.sampled_from([" ", ""]).map(lambda gap: gap.join(pieces))
)
_ENDS = st.sampled_from(["", "", " \\", "\\ ", "\\\u00a0", "\r"])
_TEXT = st.lists(st.tuples(_LINE, _ENDS).map("".join), max_size=9).map("\n".join)


def _as_builders_read(text: str, *, documents: bool) -> list[tuple[str, str]]:
    """Split a text by buildah's rules: comments start in the first column, empty lines do not end an instruction.

    :param documents: whether this buildah supports here-documents
    """
    lines, found = iter(text.removeprefix("\ufeff").split("\n")), []
    for line in lines:
        step = line.lstrip()
        if not step or step.startswith("#"):
            continue
        while match := re.search(r"\\[ \t]*$", step):
            following = next(lines, None)
            if following is None:
                step = step[: match.start()]
                break
            if following.strip() and not following.startswith("#"):
                step = step[: match.start()] + following
        name, value = [*re.split(r"[\t\r ]+", step.strip(), maxsplit=1), ""][:2]
        found.append((name.upper() if name.isascii() else name, value))
        if documents and name.upper() in ("RUN", "COPY", "ADD"):
            for tabs, word in re.findall(r"(?:^|\s)[0-9]*<<(-?)([^<\s]+)", value):
                end = word.strip("\"'")
                while (line := next(lines)) != end and (not tabs or line.lstrip("\t") != end):
                    pass
    return found


@given(_TEXT)
@example(f"{BASE}# here-document line 0\n# here-document line 1\nRUN cat <<EOF\n{SMUGGLED}EOF\n")
@example(f"{BASE}RUN cat <<#\nx \\\n#\n{SMUGGLED}")
@example('FROM "')
@example(f"{BASE}RUN true \\\n  # x\n{SMUGGLED}")
def test_buildah_gets_the_checked_instructions(text: str) -> None:
    try:
        checked = Dockerfile(text)
    except RefusedError:
        return
    built = checked.changed({})
    expected = [(each.name, each.value) for each in checked.instructions]
    written = [(name, value) for name, value in expected if name != "FROM"]
    seen = _as_builders_read(built, documents=True)
    assert [each for each in seen if each[0] != "FROM"] == written
    assert [name for name, _ in seen] == [name for name, _ in expected]
    if not checked.has_here_documents:
        assert _as_builders_read(built, documents=False) == seen
    again = Dockerfile(built)
    assert [(each.name, each.value) for each in again.instructions if each.name != "FROM"] == written
    assert again.parents == checked.parents
    assert again.labels == checked.labels
    assert again.changed({}) == built


@pytest.mark.parametrize("mark", ["# here-document line 0", "  # here-document line 0", "# here-document line 7"])
def test_comments_cannot_turn_here_documents_into_instructions(mark: str) -> None:
    document = f"RUN cat <<EOF\n{SMUGGLED}EOF\n"
    dockerfile = Dockerfile(f"{BASE}{mark}\n# here-document line 1\n{document}{mark}\n")
    check_instructions(dockerfile)
    assert dockerfile.parents == ["r.io/base:1"]
    assert dockerfile.changed({}) == f"{BASE}{document}"
    assert Dockerfile(f"{BASE}{mark}\n").changed({}) == BASE


@pytest.mark.parametrize(
    "text",
    [
        "RUN\\\n --security=insecure id\n",
        "RU\\\nN --security=insecure id\n",
        "RUN \\\n\n--security=insecure id\n",
        "RUN --secu\\\n\n# x\nrity=insecure id\n",
        "ENV X=1\nRUN \\\n # x\n --security=insecure id",
        "RUN true \\\n  # x\n\nid\nRUN --security=insecure id\n",
        "ONBUILD RUN --security=insecure id\n",
        "RUN --mount=$X id\n",
        "RUN --mount=type=cache,target=$X id\n",
        "ONBUILD\tCOPY --from=oci:/x / /\n",
        "CO\\\nPY --from=oci:/x / /\n",
    ],
)
def test_joined_lines_are_checked(text: str) -> None:
    with pytest.raises(BuildFailedError, match="^Dockerfile:[2-6]: (RUN (option )?--|files are copied from oci:/x)"):
        check_instructions(Dockerfile(BASE + text))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("RUN id \\\\", "line 2 of the Dockerfile: the instruction ends with \\"),
        ("RUN true \\\u00a0\nRUN id\n", "line 2 of the Dockerfile: the instruction ends with \\"),
        ("RUN cat <<#\nx \\\n#\nRUN id\n", "line 2: ambiguous <<"),
        ("RUN echo it's <<E\nFROM oci:/x\nE\n", "line 2: ambiguous <<"),
        ("RUN ${x:?} <<E\nFROM oci:/x\nE\n", "line 2: ambiguous <<"),
        ("RUN ${x:-}<<E\nFROM oci:/x\nE\n", "line 2: ambiguous <<"),
        ("RUN ${x:-<}<E\nFROM oci:/x\nE\n", "line 2: ambiguous <<"),
        ("ONBUILD RUN <<E\nFROM oci:/x\nE\n", "line 2: ambiguous <<"),
    ],
)
def test_ambiguous_instructions_are_rejected(text: str, reason: str) -> None:
    with pytest.raises(RefusedError, match=re.escape(reason)):
        Dockerfile(BASE + text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("RUN --security=insecure id \\\n", "RUN option --security=insecure is not supported"),
        ('COPY --"from"=oci:/x / /\n', "files are copied from oci:/x"),
        ('COPY --chown="a b" --from=oci:/x / /\n', "files are copied from oci:/x"),
        ("COPY --fr\\om=oci:/x / /\n", "files are copied from oci:/x"),
        ("COPY --$X=oci:/x / /\n", "is not an option of COPY"),
        ("COPY --chown=\u00e0--from=oci:/x / /\n", "characters that are not ASCII"),
        ("RUN --mount=type=cache,target=/\u00e0--security=insecure id\n", "characters that are not ASCII"),
        ('RUN --mount=type=bind,"source=..",target=/x id\n', "a source outside the checkout"),
        ('ONBUILD COPY --"from"=oci:/x / /\n', "files are copied from oci:/x"),
    ],
)
def test_quotes_and_variables_do_not_hide_options(text: str, reason: str) -> None:
    with pytest.raises(BuildFailedError, match=re.escape(reason)):
        check_instructions(Dockerfile(BASE + text))


@pytest.mark.parametrize(
    ("text", "built"),
    [
        ("RUN id \\\n\n# x\n", "RUN id\n"),
        ("RUN cat <<E-F\nLABEL a=b\nE-F\n", "RUN cat <<E-F\nLABEL a=b\nE-F\n"),
        ("\\", ""),
    ],
)
def test_the_end_of_an_instruction(text: str, built: str) -> None:
    assert Dockerfile(BASE + text).changed({}) == BASE + built


@pytest.mark.parametrize("before", ["", "# syntax=x\n"])
def test_more_than_one_byte_order_mark(before: str) -> None:
    with pytest.raises(RefusedError, match="contains a control character"):
        Dockerfile(f"{before}\ufeff{BASE}")


@pytest.mark.parametrize(
    "text",
    [
        "RUN cat > /x <<EOF && cat 3<<-'E' <<< word\nRUN a\\\nEOF\n\tb\n\tE\n",
        "RUN echo $((1<<2)) << x\n",
        "COPY --chown=$OWNER --chmod=0755 a b\n",
        "ONBUILD COPY --chown=1 . /\n",
    ],
)
def test_unambiguous_instructions_are_unchanged(text: str) -> None:
    dockerfile = Dockerfile(BASE + text)
    assert list(dockerfile_rules.check_run(dockerfile)) == []
    assert dockerfile.changed({}) == BASE + text


def test_continued_lines() -> None:
    text = "\r\n# syntax=x\r\nfrom r.io/base:1\r\n  RUN a && \\\r\n\r\n  # why\r\n    b \\ \r\n  c\r\n"
    text += "COPY <<E /x\r\n \ta\r\nE\r\n"
    dockerfile = Dockerfile(text)
    assert [(each.name, each.line) for each in dockerfile.instructions] == [("FROM", 3), ("RUN", 4), ("COPY", 9)]
    assert dockerfile.changed({"r.io/base:1": "i"}, first=["ARG X"], last=["USER 1"]) == (
        "FROM i\nARG X\nRUN a &&     b   c\nCOPY <<E /x\n \ta\nE\nUSER 1\n"
    )
