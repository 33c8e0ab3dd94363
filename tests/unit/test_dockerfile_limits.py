# SPDX-License-Identifier: GPL-2.0-or-later
"""Small Dockerfiles that would be large after substitution of variables."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedpkg_container.distgit import dockerfile_limits as limits
from fedpkg_container.distgit.dockerfile import Dockerfile
from fedpkg_container.distgit.dockerfile_facts import BuildFacts, ParentConfig
from fedpkg_container.errors import RefusedError
from fedpkg_container.process import run

pytestmark = pytest.mark.programs

BEGIN = "FROM registry.example.org/base:1\n"


def _chain(first: str, line: str, deep: int = 10) -> str:
    """Variables that each contain the previous one ten times."""
    return first + "".join(f"{line} A{n}={f'$A{n - 1}' * 10}\n" for n in range(1, deep + 1))


#: What an attacker writes → why it is refused.
ATTACKS = {
    "env": (BEGIN + _chain("ENV A0=0123456789\n", "ENV"), "line 6 .* the value of A4 may have 133330 characters"),
    "arg": (BEGIN + _chain("ARG A0=0123456789\n", "ARG"), "the value of A4 may have"),
    "arg before FROM": (_chain("ARG A0=0123456789\n", "ARG") + BEGIN, "the value of A4 may have"),
    "across stages": (
        "ARG A0=0123456789\n" + "".join(f"FROM scratch\nARG A{n}={f'$A{n - 1}' * 10}\n" for n in range(1, 11)),
        "the value of A4 may have",
    ),
    "onbuild": (BEGIN + _chain("ENV A0=0123456789\n", "ONBUILD ENV"), "the value of A4 may have"),
    "label": (f"{BEGIN}ENV A={'x' * 1000}\nLABEL l={'$A' * 100}\n", "the value of l may have"),
    "copy": (f"{BEGIN}ENV A={'x' * 1000}\nCOPY {'$A' * 100} /\n", "a word of COPY may have"),
    "from": (f"ARG A={'x' * 1000}\nFROM {'$A' * 100}\n", "a word of FROM may have"),
    "braces": (
        BEGIN + "ENV A0=0123456789\n" + "".join(f"ENV A{n}={f'${{A{n - 1}:-x}}' * 10}\n" for n in range(1, 9)),
        "the value of A4 may have",
    ),
    "a pattern that is replaced": (f"{BEGIN}ENV A={'a' * 1000}\nENV B=${{A//a/{'b' * 1000}}}\n", "the value of B may"),
    "without equals": (f"{BEGIN}ENV A {'x' * 1000}\nENV B {'$A ' * 100}\n", "the value of B may have"),
    "a name that is a variable": (f"{BEGIN}ENV N=A\nENV $N={'x' * 9000}\nENV B={'$A' * 10}\n", "the value of B may"),
    "options of RUN": (f"{BEGIN}ENV A={'x' * 1000}\nRUN --mount={'$A' * 100} true\n", "a word of RUN may have"),
    "a replacement that is long": (
        f"{BEGIN}ENV A={'a' * 200} B={'x' * 2000}\nENV C=${{A//a/$B}}\n",
        "the value of C may have",
    ),
    "a longer name for other parsers": (f"{BEGIN}ENV A={'x' * 9000}\nENV B={'$Aé' * 10}\n", "the value of B may"),
    "a variable of the base image": (f"{BEGIN}ENV B={'$BASE' * 40}\n", "the value of B may have"),
    "many that are just short enough": (
        f"{BEGIN}ENV A={'x' * 6000}\n" + f"LABEL l={'$A' * 5}\n" * 100,
        "line 3. of the Dockerfile: with variables substituted, the instructions may exceed 1048576 characters",
    ),
    "stages that execute ONBUILD": (
        "FROM scratch AS s\n" + "ONBUILD ENV A=b\n" * 400 + "FROM s\n" * 500,
        "ONBUILD .* more than 1000 instructions",
    ),
    "lines": (BEGIN + "".join(f"ENV V{n}=x\n" for n in range(8000)), "line 1001 .* more than 1000 instructions"),
    "values": (f"{BEGIN}ENV {' '.join(f'V{n}=' for n in range(2001))}\n", "line 2 .* set more than 2000 values"),
    "triggers of many stages": (
        "FROM scratch AS s\n" + "ONBUILD LABEL a=b\n" * 490 + "FROM s\n" * 490,
        "line 494 .* ONBUILD adds more than 1000 instructions",
    ),
    "a line": (f"{BEGIN}RUN {'x' * limits.MAX_INSTRUCTION_LENGTH}\n", "RUN is longer than 65534 bytes"),
    "a file": (BEGIN + "# comment\n" * 30_000, "the Dockerfile is larger than 262144 bytes"),
}


#: As much as is allowed, of each kind.
LARGEST = {
    "settings of many variables": BEGIN
    + "".join(f"ENV {' '.join(f'V{n}_{m}=' for m in range(2))}\n" for n in range(999)),
    "labels": BEGIN + "".join(f"LABEL {' '.join(f'l{n}_{m}=' for m in range(2))}\n" for n in range(999)),
    "long values": f"{BEGIN}ENV A={'x' * 6000}\n" + f"LABEL l={'$A' * 5}\n" * 32,
    "stages": "".join(f"FROM scratch AS s{n}\n" for n in range(1000)),
    "continued lines": f"{BEGIN}RUN " + "a\\\n" * 60_000 + "a\n",
    "a here-document": f"{BEGIN}RUN <<E\n" + "a\n" * 120_000 + "E\n",
    "patterns": f"{BEGIN}ENV A={'a' * 200}\n" + "LABEL l=${A//*a*a*a*b/x}\n" * 100,
    "a pattern of wildcards": f"{BEGIN}ENV A={'a' * 4000}\nLABEL l=${{A#{'*' * 4000}b}}\n",
    "a pattern with a large class": f"{BEGIN}ENV A={'a' * 4000}\nLABEL l=${{A/*[{'z' * 3500}]/x}}\n",
    "a number": "FROM scratch\n" + f"HEALTHCHECK --interval={'9' * 60_000} CMD a\n" * 4,
    "a deep list": f"{BEGIN}COPY {'[' * 32_000} /\n",
    "quotes": f"{BEGIN}COPY {chr(34) * 16_000}{chr(39) * 16_001} /\n",
    "backslashes": f"{BEGIN}RUN {chr(92) * 60_000}a\n",
}
#: What the checks and the planning of a build do with it. 300 MB are what Python and all modules need, and little more.
SCRIPT = """
import resource, sys
from fedpkg_container.distgit import copy_sources, dockerfile_rules, label_rules
from fedpkg_container.distgit.dockerfile import Dockerfile
from fedpkg_container.distgit.dockerfile_facts import BuildFacts, ParentConfig
from fedpkg_container.errors import RefusedError
resource.setrlimit(resource.RLIMIT_AS, (300 << 20, 300 << 20))
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
try:
    dockerfile = Dockerfile(sys.stdin.read())
    for check in (dockerfile_rules.check, dockerfile_rules.check_run, label_rules.check):
        list(check(dockerfile))
    list(copy_sources.copies(dockerfile))
    dockerfile.changed({}), dockerfile.labels, dockerfile.foreign_sources
    print("read")
except RefusedError as error:
    print(error.reason)
"""


def _read(text: str) -> str:
    """Parse a Dockerfile in a separate process; return the error message."""
    done = run([sys.executable, "-c", SCRIPT], stdin=text.encode(), timeout=600, check=False)
    assert done.status == 0, done.stderr[-500:]
    return done.text.strip()


@pytest.mark.parametrize("attack", ATTACKS)
def test_exponential_growth_is_rejected(attack: str) -> None:
    text, reason = ATTACKS[attack]
    assert len(text) < limits.MAX_FILE_BYTES or attack == "a file"
    assert re.search(reason, _read(text))


@pytest.mark.parametrize("text", LARGEST.values(), ids=list(LARGEST))
def test_largest_allowed_dockerfile_needs_little_memory_and_time(text: str) -> None:
    assert _read(text) == "read"


def test_build_arguments_count_towards_limits() -> None:
    text = f"{BEGIN}ARG A\nENV B={'$A' * 10}\n"
    assert Dockerfile(text, BuildFacts(arguments={"A": "x" * 100}))
    with pytest.raises(RefusedError, match="the value of B may have"):
        Dockerfile(text, BuildFacts(arguments={"A": "x" * 9000}))


def test_variables_of_parents_count_towards_limits() -> None:
    text = f"{BEGIN}ENV B={'$A' * 10}\n"
    parents = {length: {BEGIN[5:-1]: ParentConfig({"A": "x" * length})} for length in (100, 9000)}
    assert Dockerfile(text, BuildFacts(parents=parents[100]))
    with pytest.raises(RefusedError, match="the value of B may have"):
        Dockerfile(text, BuildFacts(parents=parents[9000]))


def test_triggers_of_parents_count_towards_limits() -> None:
    trigger = "ENV A=" + "$A" * 100
    with pytest.raises(RefusedError, match="the value of A may have"):
        Dockerfile(BEGIN, BuildFacts(parents={BEGIN[5:-1]: ParentConfig({}, (trigger,))}))


_NAME = st.sampled_from(["A", "B", "C1", "é", "$A", "${B}"])
_VALUE = st.lists(
    st.sampled_from(
        ["$A", "${A}", "$B$C1", "${C1:-x}", "$é", "$Aé", "x", " ", '"', "'", "\\", "\\$A", "$$B", "${", "="]
    )
).map("".join)
_LINE = st.one_of(
    st.builds("{} {}={}".format, st.sampled_from(["ENV", "ARG", "LABEL"]), _NAME, _VALUE),
    st.builds("{} {}={} {}={}".format, st.sampled_from(["ENV", "ARG", "LABEL"]), _NAME, _VALUE, _NAME, _VALUE),
    st.builds("{} {} {}".format, st.sampled_from(["ENV", "LABEL"]), _NAME, _VALUE),
    st.builds("COPY {} /".format, _VALUE),
    st.just("FROM scratch"),
    st.just("RUN true"),
)
_TEXT = st.lists(_LINE, max_size=8).map(lambda lines: "\n".join([*lines, ""]))
_ARGUMENTS = st.dictionaries(st.sampled_from(["A", "B"]), st.sampled_from(["", "value"]))


@given(_TEXT, _ARGUMENTS)
def test_computed_bound_is_never_exceeded(text: str, arguments: Mapping[str, str]) -> None:
    """Variables that are not set count as empty here, as in buildah."""
    facts = BuildFacts(arguments=arguments)
    try:
        dockerfile = Dockerfile(text, facts)
    except RefusedError:
        return
    lengths = limits._Lengths(arguments)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "UNKNOWN_VALUE_LENGTH", 0)
        bounds = [lengths.add(each) for each in dockerfile._source.steps]
    for instruction, bound in zip(dockerfile.instructions, bounds):
        if instruction.name in ("ENV", "ARG", "LABEL"):
            assert sum(len(name) + len(value.text) for name, value in instruction.pairs) <= bound
        if instruction.name == "COPY":
            assert sum(map(len, instruction.arguments)) <= bound
