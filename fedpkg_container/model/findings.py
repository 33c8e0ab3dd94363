"""Findings of checks, and the codes of all checks: what ``--skip-check`` accepts, and what docs/checks.md lists."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from fedpkg_container.text import printable

ERROR = "error"
WARNING = "warning"


@dataclass(frozen=True)
class Finding:
    """One finding.

    :param code: stable name, ``label-missing``
    :param severity: ``error`` refuses the build, ``warning`` does not
    :param message: what is wrong, one sentence
    :param solution: what to do
    :param file: where, relative to the checkout; empty when it is in no file
    :param line: from 1; 0 for the whole file
    """

    code: str
    severity: str
    message: str
    solution: str
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: " if self.file and self.line else f"{self.file}: " if self.file else ""
        solution = f"\n    {self.solution}" if self.solution else ""
        return printable(f"{where}{self.severity}: {self.message} [{self.code}]{solution}")


#: Code → what is checked. Stable: scripts name them.
CHECKS: dict[str, str] = {
    # the checkout
    "namespace": "the repository is in a namespace of containers",
    "detached-head": "the checkout is on a branch",
    "branch": "the site knows branches of this name",
    "uncommitted": "tracked files have no changes that are not committed",
    "no-upstream": "the branch follows one of dist-git",
    "unpushed": "every commit is pushed",
    "behind": "dist-git has no commits that the checkout lacks",
    "gating": "gating.yaml is valid (rpkg's check; --skip-remote-rules-validation passes it too)",
    # the Dockerfile
    "no-dockerfile": "there is a Dockerfile, it can be parsed, and it is within the limits below",
    "instruction": "every instruction is known and has a value",
    "before-from": "nothing but ARG comes before the first FROM",
    "no-from": "there is a FROM",
    "from-invalid": "FROM names an image",
    "from-argument": "arguments in FROM have a value",
    "from-registry": "FROM says which registry",
    "from-tag": "FROM says which tag or digest",
    "from-platform": "FROM has no option: each arch is built on a builder of its own",
    "stage-name": "each stage has a name of its own",
    "foreign-source": "files come only from images that a FROM names",
    "run-option": "RUN asks for no rights and no network of its own",
    "run-mount": "RUN mounts only what a build has: the checkout, another stage, a cache of its own, memory",
    "copy-missing": "what COPY and ADD take is there",
    "copy-outside": "what COPY and ADD take is in the checkout",
    "copy-untracked": "what COPY and ADD take is in git",
    "copy-left-out": "folders that COPY and ADD take hold no files that are not in git",
    "lookaside": "no file is both in git and in sources",
    "sources": "the file sources can be read",
    "no-command": "the image has a CMD or an ENTRYPOINT",
    "label-missing": "required labels are there",
    "label-unresolved": "variables in required labels have a value",
    "label-invalid": "labels make an NVR, a repository and a tag",
    "label-repository": "the package is called after its repository; builders record others where the site allows it",
    "label-deprecated": "labels have their present spelling",
    "label-advised": "labels that guidelines ask for are there",
    "help": "help.md can be used",
    # container.yaml and additional-tags
    "yaml-name": "no file has a name that is taken for container.yaml",
    "yaml-unreadable": "container.yaml is a file of a size that can be read, in UTF-8",
    "yaml-syntax": "container.yaml is YAML",
    "yaml-tag": "container.yaml has values of plain types alone",
    "yaml-duplicate-key": "no key of container.yaml is given twice",
    "yaml-unknown-key": "the keys of container.yaml are known",
    "yaml-invalid": "the values of container.yaml are of the right form",
    "yaml-deprecated": "no key of container.yaml is deprecated",
    "yaml-unavailable": "no key of container.yaml needs a service that is not there",
    "yaml-variable": "set_release_env is the name of a variable",
    "yaml-ignored": "builders act on the keys of container.yaml",
    "tags-unreadable": "additional-tags is a file of a size that can be read, in UTF-8",
    "tag-invalid": "registries take the tags of container.yaml and additional-tags",
    "tag-ignored": "no tag in container.yaml or additional-tags has a hyphen",
    "tag-twice": "each tag is in additional-tags once",
    # the hub
    "target": "the build target exists",
    "dest-tag": "the destination tag exists",
    "tag-locked": "the destination tag is not locked (scratch builds need none)",
    "package": "the package is listed in the destination tag, and not blocked",
    "nvr-exists": "the NVR is not built already (it can be reused when FAILED or CANCELED)",
    "nvr-building": "the NVR is not being built",
    "tag-arches": "the build tag has arches",
    "arches": "--arches and container.yaml leave arches of the build tag",
    "no-builder": "an enabled builder is there for each arch; only in another channel: a warning",
    "builder-silent": "a builder for each arch has checked in with the hub within the last five minutes",
    "repo-url": "--repo-url is an address that can be read",
}


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that is most like this one; empty when none is."""
    found = difflib.get_close_matches(word, list(known), n=1)
    return found[0] if found else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The same as an addition to a sentence."""
    like = nearest(word, known)
    return f"; did you mean {like}?" if like else ""
