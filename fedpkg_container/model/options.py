"""The arguments of the ``buildContainer`` task: its source URL and its options, and what a hub refuses."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

#: The form of a source's URL.
FORM = "git+https://HOST/PATH#COMMIT"
_PASSWORD = re.compile(r"[^/?#]*://[^/?#]*:[^/?#@]*@")


def has_password(url: str) -> bool:
    """Whether a URL has a password: ``user:password@host``, which would be shown to all who see the task."""
    return _PASSWORD.match(url) is not None


def source_problem(scm: Any) -> tuple[str, str]:
    """Why a source is not built, and what to do; empty when it is.

    :param scm: the URL, taken apart by ``koji.daemon.SCM``
    """
    if not scm.scheme.startswith("git"):
        return f"sources of kind {scm.scheme} are not built", f"give {FORM}"
    if "ssh" in scm.scheme:
        return "sources are not fetched by ssh: builders give no keys to the process that does it", f"give {FORM}"
    if has_password(scm.url):
        return "a source with a password is not built", f"give {FORM}"
    if scm.module:
        reason = f"a folder within a repository is not built: ?{scm.module[:80]}"
        return reason, "move the Dockerfile to the top of a repository of its own"
    if "%" in scm.url.partition("#")[0]:  # koji before 1.36 leaves %2e%2e in a path, and a server may read it as ..
        return f"a path with % is not built: {scm.url}", f"give {FORM}"
    return "", ""


def address(scm: Any) -> str:
    """A source without its commit, with the user if it names one."""
    user = f"{scm.user}@" if scm.user else ""
    return f"{scm.scheme}{user}{scm.host}{scm.repository}"


def repository_path(source: str) -> str:
    """The path of a source's repository, without ``.git``: ``container/hello`` for ``git+https://HOST/container/hello``.

    :param source: URL, with or without a commit
    """
    path = urllib.parse.urlsplit(source.partition("#")[0].removeprefix("git+")).path
    return path.strip("/").removesuffix(".git")


def own_components(repository: str) -> tuple[str, str]:
    """The packages that every repository may build: called like it, with and without ``-container``.

    :param repository: its path, or the last part of that
    """
    name = repository.rpartition("/")[2]
    return name, f"{name}-container"


_STRING = {"type": ["string", "null"]}
_FLAG = {"type": ["boolean", "null"]}
_STRINGS = {"type": ["array", "null"], "items": {"type": "string"}}

#: JSON schema of the third argument of ``buildContainer``.
BUILD_CONTAINER_OPTIONS: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "properties": {
        "scratch": _FLAG,
        "isolated": _FLAG,
        "dependency_replacements": _STRINGS,
        "yum_repourls": _STRINGS,
        "arch_override": _STRING,
        "git_branch": {"type": "string", "minLength": 1},
        "koji_parent_build": _STRING,
        "release": _STRING,
        "flatpak": _FLAG,
        "compose_ids": {"type": ["array", "null"], "items": {"type": "integer"}},
        "signing_intent": _STRING,
        "skip_build": _FLAG,
        "userdata": {"type": ["object", "null"]},
        "operator_csv_modifications_url": _STRING,
    },
    "required": ["git_branch"],
    "additionalProperties": False,
}


#: Options that need a service which this one does not have, and what that is.
UNAVAILABLE = {
    "flatpak": "a module build service",
    "compose_ids": "a compose service (ODCS)",
    "signing_intent": "a compose service (ODCS)",
    "dependency_replacements": "a dependency service (Cachito)",
    "operator_csv_modifications_url": "an operator manifest service",
}


def without_none(options: Mapping[str, Any] | None) -> dict[str, Any]:
    """The options that were given: those that are not None."""
    return {key: value for key, value in (options or {}).items() if value is not None}


def option_problems(options: Mapping[str, Any] | None) -> list[str]:
    """What is wrong with ``buildContainer`` options, one sentence each; an empty list when nothing is."""
    import jsonschema

    if options is not None and not isinstance(options, Mapping):
        return [f"options must be a dictionary, not {type(options).__name__}"]
    given = without_none(options)
    validator = jsonschema.Draft7Validator(BUILD_CONTAINER_OPTIONS)
    problems = [_sentence(error) for error in sorted(validator.iter_errors(given), key=lambda e: list(e.path))]
    return problems or _contradictions(given)


def unavailable_options(options: Mapping[str, Any] | None) -> list[str]:
    """Which of the options, all valid, are not offered, one sentence each; an empty list when all are."""
    return [
        f"option {option} is not offered: it needs {needs}, and there is none"
        for option, needs in UNAVAILABLE.items()
        if (options or {}).get(option)
    ]


def isolated_release_problem(release: str) -> str:
    """What is wrong with the release of an isolated build, to stand after its name; empty when nothing is.

    Only whole numbers are counted when the hub's next release is looked for: an isolated build takes none of them away.
    The rule is that of osbs-client.
    """
    if re.fullmatch(r"[0-9]+\.[0-9]+(\..+)?", release):
        return ""
    return f"must be like 3.1 or 3.1.fix, not {release[:80]!r}: whole numbers are those of other builds"


def repo_url_problem(url: str) -> str:
    """What is wrong with a URL of ``--repo-url``, to stand after its name; empty when nothing is.

    Options of tasks can be read by every user of Koji, and are recorded with the build. The URL is not in the text.
    """
    try:
        has_credentials = "@" in urlsplit(url).netloc
    except ValueError:
        return "is not a URL"
    if has_credentials:
        return "has a user name or a password in it, which every user of Koji could read: serve the file without one"
    return ""


def _contradictions(given: Mapping[str, Any]) -> list[str]:
    problems = []
    scratch, isolated = given.get("scratch"), given.get("isolated")
    if scratch and isolated:
        problems.append("a build cannot be both scratch and isolated")
    if isolated and not given.get("release"):
        problems.append("an isolated build needs a release")
    elif isolated and (problem := isolated_release_problem(given["release"])):
        problems.append(f"the release of an isolated build {problem}")
    if given.get("arch_override") and not (scratch or isolated):
        problems.append("arches can be limited for scratch and isolated builds only")
    if given.get("signing_intent") and given.get("compose_ids"):
        problems.append("signing_intent and compose_ids exclude each other")
    for number, url in enumerate(given.get("yum_repourls") or []):
        if problem := repo_url_problem(url):
            problems.append(f"yum_repourls.{number} {problem}")
    if given.get("skip_build"):
        problems.append("skip_build has been removed: a build cannot be skipped")
    return problems


def _sentence(error: Any) -> str:
    where = ".".join(str(part) for part in error.path)
    if error.validator == "required":
        return f"{error.message.split(chr(39))[1]} must be given"
    if error.validator == "additionalProperties":
        return str(error.message).replace("Additional properties are not allowed", "unknown option")
    return f"{where}: {error.message}" if where else f"{error.message}"
