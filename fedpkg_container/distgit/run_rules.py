"""The rules over the options of RUN and FROM: what they ask of a builder beyond running a command in the image.

A builder has no secrets and no keys for a build, gives RUN no rights and no network that it asks for, and takes files
from nowhere but the checkout and the images that a FROM names. Builders refuse what is found here too.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from fedpkg_container.distgit.dockerfile import FILE, Dockerfile
from fedpkg_container.distgit.instructions import Instruction
from fedpkg_container.model.findings import ERROR, WARNING, Finding

#: Kinds of ``RUN --mount`` that builders have: the checkout or another stage, a folder for this build alone, memory.
MOUNTS = ("bind", "cache", "tmpfs")
#: What ``RUN --network`` may say: no more than a build has anyway.
NETWORKS = ("default", "none")
#: Longest part of an option that is shown.
_SHOWN = 80


def check(dockerfile: Dockerfile) -> Iterator[Finding]:
    """Findings about options of RUN and FROM."""
    for each in dockerfile.asked:
        if each.name == "FROM" and each.options:
            message = f"FROM {each.options[0][:_SHOWN]} has no effect: every arch is built on a builder of that arch"
            yield Finding("from-platform", WARNING, message, "leave it out", FILE, each.line)
        elif each.name == "RUN":
            yield from _run(each)


def _run(instruction: Instruction) -> Iterator[Finding]:
    for option in instruction.options:
        name, _, value = option.partition("=")
        if name == "--mount":
            yield from _mount(value, instruction.line)
        elif name != "--network" or value not in NETWORKS:
            yield Finding(
                "run-option",
                ERROR,
                f"RUN {option[:_SHOWN]}: builders do not give that",
                "leave it out; builds reach a network only for repositories that need one",
                FILE,
                instruction.line,
            )


def _mount(value: str, line: int) -> Iterator[Finding]:
    parts = [part.partition("=")[::2] for part in value.split(",")]
    settings = {"source" if name == "src" else name: said for name, said in parts}
    kind = settings.get("type", "bind")
    source = settings.get("source", "")
    why = ""
    if "$" in value:
        why = "has a variable, which may hold anything"
    elif len(settings) != len(parts):
        why = "says something twice, of which builders take one or the other"
    elif kind not in MOUNTS:
        why = f"is of type {kind[:_SHOWN]}: builders have {', '.join(MOUNTS)}"
    elif ".." in posixpath.normpath(source).split("/"):
        why = f"leads out of the checkout: {source[:_SHOWN]}"
    if why:
        message = f"RUN --mount {why}"
        yield Finding("run-mount", ERROR, message, "leave it out, or use COPY", FILE, line)
