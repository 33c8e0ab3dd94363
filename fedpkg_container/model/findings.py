# SPDX-License-Identifier: GPL-2.0-or-later
"""Findings of checks, and the codes of all checks, used by ``--skip-check`` and docs/reference/checks.md."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from fedpkg_container.text import printable

ERROR = "error"
WARNING = "warning"
NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """A problem found by a check.

    :param code: stable name of the check, e.g. ``label-missing``
    :param severity: ``error`` (prevents the build), ``warning``, or ``note`` (not a problem)
    :param message: what is wrong, in one sentence
    :param solution: how to fix it
    :param file: file with the problem, relative to the checkout; empty if the problem is not in a file
    :param line: line number, from 1; 0 for the whole file
    """

    code: str
    severity: str
    message: str
    solution: str
    file: str = ""
    line: int = 0

    @property
    def _location(self) -> str:
        return f"{self.file}:{self.line}: " if self.file and self.line else f"{self.file}: " if self.file else ""

    @property
    def located_message(self) -> str:
        """The message after its file and line."""
        return f"{self._location}{self.message}"

    def __str__(self) -> str:
        solution = f"\n    {self.solution}" if self.solution else ""
        return printable(f"{self._location}{self.severity}: {self.message} [{self.code}]{solution}")


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings by file and line; those without a file come first, and the checks keep their order."""
    return sorted(findings, key=lambda finding: (finding.file, finding.line))


#: Code → what is checked. The codes are stable: scripts use them.
CHECKS: dict[str, str] = {
    # the checkout
    "namespace": "the repository is in a container namespace",
    "detached-head": "the checkout is on a branch",
    "branch": "the name of the branch matches the site's naming rule",
    "uncommitted": "there are no uncommitted changes to tracked files",
    "untracked": "the files that decide what is built (Dockerfile, container.yaml and others) are tracked by git",
    "no-upstream": "the branch tracks a dist-git branch",
    "unpushed": "all commits are pushed",
    "behind": "the checkout contains all commits of the dist-git branch",
    "gating": "gating.yaml is valid (rpkg's check; also skipped by --skip-remote-rules-validation)",
    # the Dockerfile or Containerfile
    "no-dockerfile": "there is a Containerfile or Dockerfile that can be parsed and is within the limits below",
    "dockerfile-ignored": "a Dockerfile beside a Containerfile, which takes precedence, has the same content",
    "instruction": "all instructions are known, and buildah can read them",
    "option": "options of instructions are known to buildah",
    "option-ignored": "no instruction has options that buildah removes",
    "buildah-version": "the Dockerfile needs no newer buildah than the builders have (a warning in the client)",
    "before-from": "only ARG precedes the first FROM",
    "no-from": "there is a FROM",
    "from-invalid": "FROM has a valid image reference",
    "from-argument": "arguments used in FROM have a value",
    "from-registry": "the image in FROM includes the registry",
    "from-tag": "the image in FROM has a tag or a digest",
    "from-platform": "FROM has no options: each architecture is built on a separate builder",
    "stage-name": "stage names are valid and unique",
    "foreign-source": "files are copied only from images named in a FROM",
    "run-option": "RUN requests no extra privileges and no other network",
    "run-mount": "RUN mounts only the checkout, another stage, a cache or tmpfs",
    "copy-missing": "sources of COPY and ADD exist",
    "copy-outside": "sources of COPY and ADD are inside the checkout",
    "copy-untracked": "sources of COPY and ADD are tracked by git",
    "copy-ignored": "the ignore file (.dockerignore and others) does not exclude sources of COPY and ADD",
    "copy-left-out": "directories copied by COPY and ADD contain no untracked files",
    "ignore-file": "the ignore file can be read, and buildah accepts its patterns",
    "submodule": "COPY, ADD and bind mounts include no git submodule, which builders do not fetch",
    "lookaside": "no file is both tracked by git and listed in sources",
    "sources": "the file sources can be read",
    "no-command": "the image has a CMD or an ENTRYPOINT",
    "label-missing": "required labels are present",
    "label-unresolved": "variables in labels of the NVR have a value",
    "label-unknown": "variables in labels of the NVR are known here (a note: the builder knows the base image)",
    "label-invalid": "the labels form a valid NVR, repository and tag",
    "label-repository": "the package is named after its repository (builders accept other names if the site allows it)",
    "label-deprecated": "labels have their current names",
    "label-advised": "labels recommended by the guidelines are present",
    "help": "help.md is usable",
    # container.yaml and additional-tags
    "yaml-name": "no file has a name easily confused with container.yaml",
    "yaml-unreadable": "container.yaml is a regular UTF-8 file within the size limits",
    "yaml-syntax": "container.yaml is valid YAML",
    "yaml-tag": "container.yaml contains only values of plain YAML types",
    "yaml-duplicate-key": "container.yaml contains no duplicate keys",
    "yaml-unknown-key": "all keys in container.yaml are known",
    "yaml-invalid": "the values in container.yaml are valid",
    "yaml-deprecated": "container.yaml contains no deprecated keys",
    "yaml-unavailable": "no key in container.yaml requires an unavailable service or other packages",
    "yaml-replaced": "no key in container.yaml selects repositories of composes, which are not used",
    "yaml-variable": "set_release_env is a valid variable name",
    "yaml-ignored": "container.yaml contains no keys that builders ignore",
    "tags-unreadable": "additional-tags is a regular UTF-8 file within the size limits",
    "tag-invalid": "tags in container.yaml and additional-tags are valid",
    "tag-ignored": "no tag in container.yaml or additional-tags contains a hyphen",
    "tag-twice": "no tag is listed twice in additional-tags",
    # the hub
    "target": "the build target exists",
    "dest-tag": "the destination tag exists",
    "tag-locked": "the destination tag is not locked (not checked for scratch builds)",
    "package": "the package is listed in the destination tag and not blocked",
    "nvr-exists": "the NVR is not built yet (an NVR in state FAILED or CANCELED can be reused)",
    "nvr-building": "the NVR is not being built",
    "tag-arches": "the build tag has architectures",
    "arches": "--arches and container.yaml leave at least one architecture of the build tag",
    "no-builder": "each architecture has an enabled builder (a warning if only in another channel)",
    "builder-silent": "for each architecture, a builder has checked in with the hub within the last five minutes",
    "repo-url": "--repo-url is a valid URL",
}


def closest_match(word: str, known: Iterable[str]) -> str:
    """Return the known word closest to this one; empty if none is similar."""
    matches = difflib.get_close_matches(word, list(known), n=1)
    return matches[0] if matches else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean …?`` with the closest known word; empty if none is similar."""
    match = closest_match(word, known)
    return f"; did you mean {match}?" if match else ""
