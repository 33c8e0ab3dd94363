# SPDX-License-Identifier: GPL-2.0-or-later
"""What buildah accepts of each instruction of a Dockerfile: options and arguments.

docs/reference/dockerfile.md is generated from these rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from fedpkg_container.distgit.dockerfile_reading import Instruction
from fedpkg_container.distgit.dockerfile_words import split_name
from fedpkg_container.model import buildah as versions
from fedpkg_container.model.buildah import Feature

#: Returns why the arguments of an instruction are refused; empty if they are not.
Check = Callable[[Instruction], str]


@dataclass(frozen=True)
class Option:
    """An option of an instruction.

    :param feature: what it needs of buildah; None: known to all supported versions
    :param takes_value: whether it has the form ``--name=value``, or ``--name`` as well
    """

    feature: Feature | None = None
    takes_value: bool = True


@dataclass(frozen=True)
class Rule:
    """What is accepted of an instruction.

    :param supported: what is supported, for the documentation
    :param refused: what is refused and why, for the documentation
    :param check: of the arguments
    :param options: by name, without dashes; None: buildah ignores options of this instruction
    """

    supported: str
    refused: str
    check: Check = lambda _: ""
    options: Mapping[str, Option] | None = None


def _value(item: Instruction) -> str:
    return "" if item.words else "has no value"


def _ports(item: Instruction) -> str:
    return "" if any(word.text for word in item.words) else "has no value"


def _some(item: Instruction) -> str:
    return "" if item.pairs else "has no value"


_SIGNALS = frozenset(
    "ABRT ALRM BUF BUG BUS CHLD CLD CONT EMT FPE HUP ILL INFO INT IO IOT KILL LWP PIPE POLL PROF PWR QUIT SEGV STKFLT"
    " STOP SYS TERM THR TRAP TSTP TTIN TTOU UNUSED URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX".split()
) | {f"RTMIN+{n}" for n in range(1, 16)} | {f"RTMAX-{n}" for n in range(1, 15)}  # fmt: skip


def _signal(item: Instruction) -> str:
    if not item.words:
        return "has no value"
    text = item.words[0].text
    if not item.words[0].is_known:
        return ""
    number = re.fullmatch("[+-]?[0-9]{1,18}", text)
    valid = int(text) != 0 if number else text.upper().removeprefix("SIG") in _SIGNALS
    return "" if valid else f"{text[:40]} is not a signal"


def _shell(item: Instruction) -> str:
    if not item.words:
        return "has no value"
    return "" if item.is_json else 'needs a JSON array, e.g. ["/bin/bash", "-c"]'


#: A duration of Go: numbers with units.
_DURATION = re.compile(r"\+?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|µs|ms|s|m|h))+")
_DURATIONS = ("interval", "timeout", "start-period", "start-interval")


def _healthcheck(item: Instruction) -> str:
    kind = item.words[0].text.upper() if item.words else ""
    if kind not in ("NONE", "CMD"):
        return "needs CMD or NONE"
    if kind == "NONE":
        return "NONE accepts no arguments" if len(item.words) > 1 else ""
    if len(item.words) < 2:
        return "CMD has no command"
    for option in item.options:
        name, _, text = option[2:].partition("=")
        if name in _DURATIONS and text and not (_DURATION.fullmatch(text) and re.search("[1-9]", text)):
            return f"--{name} {text[:40]} is not a positive duration, e.g. 30s"
        if name == "retries" and text and not (re.fullmatch("[+]?[0-9]{1,9}", text) and int(text) > 0):
            return f"--retries {text[:40]} is not a positive number"
    return ""


def _onbuild(item: Instruction) -> str:
    if not item.words:
        return "has no value"
    name, _ = split_name(item.words[0].text)
    if name in ("ONBUILD", "FROM", "MAINTAINER"):
        return f"cannot defer {name}"
    return "" if name in RULES else f"defers the unknown instruction {name[:40]}"


def _copy(item: Instruction) -> str:
    if len(item.words) < 2:
        return "needs at least one source and a destination"
    for option in item.option_values:
        if not option.is_known:
            continue
        name, _, text = option.text.partition("=")
        if name == "--chmod" and not (re.fullmatch("[0-7]{1,11}", text) and int(text, 8) < 2**32):
            return f"--chmod={text[:40]} is not an octal number"
        if name == "--from" and "=" in text:
            return f"--from={text[:40]} is not the name of a stage"
    if item.name == "COPY" and any(re.match("https?://", word.text) for word in item.words[:-1]):
        return "cannot copy from a URL"
    return ""


_COPY_OPTIONS = {
    "chown": Option(),
    "chmod": Option(),
    "exclude": Option(versions.EXCLUDE),
    "link": Option(versions.LINK, takes_value=False),
}
_COMMAND = "a command line, or a JSON array"
#: Instructions known to buildah (imagebuilder).
RULES: dict[str, Rule] = {
    "FROM": Rule(
        "`FROM IMAGE` and `FROM IMAGE AS NAME`; IMAGE is `registry/repository:tag` (pinned to its digest), an earlier"
        " stage, or `scratch`. `--platform` has no effect (a warning)",
        "other arguments; an image without a registry; a variable without a value",
        options={"platform": Option()},
    ),
    "ARG": Rule(
        "`ARG NAME` and `ARG NAME=VALUE`, several in one instruction. Those before the first FROM apply to all"
        " FROM, and to stages that declare them again. `ARG TARGETARCH` and the other platform arguments must be"
        " declared in each stage that uses them",
        "a value for TARGETPLATFORM or BUILDPLATFORM: newer versions of buildah refuse it",
        _some,
    ),
    "LABEL": Rule("`LABEL NAME=VALUE …` and `LABEL NAME VALUE`", "a word without `=` after the first", _some),
    "ENV": Rule(
        "`ENV NAME=VALUE …` and `ENV NAME VALUE`; takes precedence over ARG. Values are visible to the"
        " following instructions, not within the instruction that sets them",
        "a word without `=` after the first",
        _some,
    ),
    "RUN": Rule(
        f"{_COMMAND}, or here-documents; `--mount` of the types bind, cache and tmpfs, `--network=none` and `default`",
        "other options: they request privileges that builds do not have",
        options={"mount": Option(), "network": Option(versions.RUN_NETWORK)},
    ),
    "COPY": Rule(
        "files and directories of the checkout, or of a stage or image named in a FROM (`--from`); here-documents",
        "fewer than two arguments; URLs; quotes around a name with spaces (use a JSON array); sources that builders do"
        " not have",
        _copy,
        {
            **_COPY_OPTIONS,
            "from": Option(),
            "parents": Option(versions.COPY_PARENTS, takes_value=False),
        },
    ),
    "ADD": Rule(
        "as COPY; also archives, which are unpacked, and URLs if builds have network access",
        "fewer than two arguments; `--from`",
        _copy,
        {
            **_COPY_OPTIONS,
            "checksum": Option(versions.ADD_CHECKSUM),
        },
    ),
    "CMD": Rule(f"{_COMMAND}", "nothing"),
    "ENTRYPOINT": Rule(f"{_COMMAND}", "nothing"),
    "WORKDIR": Rule("one directory", "no value", _value),
    "USER": Rule("one user", "no value", _value),
    "EXPOSE": Rule("ports", "no value", _ports),
    "VOLUME": Rule("directories, or a JSON array", "no value", _value),
    "HEALTHCHECK": Rule(
        "`NONE`, and `CMD` with a command",
        "other arguments; durations and numbers that are not positive",
        _healthcheck,
        {
            **{name: Option() for name in ("interval", "timeout", "start-period", "retries")},
            "start-interval": Option(versions.START_INTERVAL),
        },
    ),
    "ONBUILD": Rule(
        "any instruction except the refused ones; it is checked like the other instructions of the file",
        "ONBUILD, FROM and MAINTAINER; here-documents, which buildah drops",
        _onbuild,
    ),
    "SHELL": Rule("a JSON array", "anything else", _shell),
    "STOPSIGNAL": Rule("a number, or a name such as TERM or SIGRTMIN+3", "unknown names", _signal),
    "MAINTAINER": Rule("text", "no value", _value),
}


@dataclass(frozen=True)
class Problem:
    """Something that buildah refuses or ignores.

    :param code: of the check
    :param message: what, after the name of the instruction
    :param solution: what to do
    :param is_error: whether the build would fail
    """

    code: str
    message: str
    solution: str
    is_error: bool = field(default=True)


#: Maximum characters of an option in a message.
MAX_SHOWN = 80


def problems(item: Instruction) -> Iterator[Problem]:
    """Yield what buildah refuses or ignores of a known instruction."""
    if item.problem:
        yield Problem("instruction", item.problem, "fix it: buildah cannot read the instruction")
        return
    rule = RULES[item.name]
    yield from _options(item, rule)
    if reason := rule.check(item):
        yield Problem("instruction", reason, "fix it: buildah refuses the instruction")
    if item.name == "RUN" and not item.words and not item.documents:
        yield Problem("instruction", "has no value, and will probably fail", "add a command", is_error=False)


def _options(item: Instruction, rule: Rule) -> Iterator[Problem]:
    for option in item.option_values:
        name, equals, value = option.text[2:].partition("=")
        shown = option.text[:MAX_SHOWN]
        if rule.options is None:
            yield Problem(
                "option-ignored",
                f"{shown} has no effect: buildah removes options of {item.name}",
                "remove the option, or write the arguments as a JSON array or in quotes",
                is_error=False,
            )
        elif name not in rule.options:
            if item.name == "RUN":  # reported by the check of its rights
                continue
            known = ", ".join(f"--{each}" for each in rule.options)
            yield Problem("option", f"{shown} is not an option of {item.name}", f"use one of {known}")
        elif rule.options[name].takes_value and not (value or (equals and item.name == "HEALTHCHECK")):
            yield Problem("option", f"{shown} has no value", f"use the form --{name}=VALUE")
        elif not rule.options[name].takes_value and option.is_known and equals and value not in ("true", "false"):
            yield Problem("option", f"{shown} has an invalid value", f"use --{name}")


def features(item: Instruction) -> frozenset[Feature]:
    """Return what an instruction needs of newer versions of buildah."""
    options = RULES[item.name].options or {}
    names = (option[2:].partition("=")[0] for option in item.options)
    needed = {options[name].feature for name in names if name in options}
    return item.features | {feature for feature in needed if feature}
