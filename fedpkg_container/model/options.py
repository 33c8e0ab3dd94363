# SPDX-License-Identifier: GPL-2.0-or-later
"""The arguments of the ``buildContainer`` task: rules for its source URL and its options."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, cast
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from jsonschema import ValidationError

#: Format of source URLs.
SOURCE_URL_FORM = "git+https://HOST/PATH#COMMIT"
_PASSWORD = re.compile(r"[^/?#]*://[^/?#]*:[^/?#@]*@")


def has_password(url: str) -> bool:
    """Whether a URL contains a password (``user:password@host``), which every user who can see the task could read."""
    return _PASSWORD.match(url) is not None


class SourceURL(Protocol):
    """A parsed source URL: ``koji.daemon.SCM``.

    :param scheme: with ``://``
    :param repository: path of the repository, starting with a slash
    :param module: path below the repository (``?path``)
    :param revision: the commit
    """

    url: str
    scheme: str
    user: str | None
    host: str
    repository: str
    module: str
    revision: str


def source_problem(scm: SourceURL) -> tuple[str, str]:
    """Return why a source cannot be built and what to do; two empty strings if it can.

    :param scm: the source URL, parsed by ``koji.daemon.SCM``
    """
    if not scm.scheme.startswith("git"):
        return f"sources of type {scm.scheme.removesuffix('://')} are not supported", f"use {SOURCE_URL_FORM}"
    if "ssh" in scm.scheme:
        return "ssh sources are not supported: builders have no ssh keys", f"use {SOURCE_URL_FORM}"
    if has_password(scm.url):
        return "sources with a password are not allowed", f"use {SOURCE_URL_FORM}"
    if scm.module:
        reason = f"subdirectories of a repository cannot be built: ?{scm.module[:80]}"
        return reason, "move the Dockerfile to the top directory of a separate repository"
    # koji before 1.36 leaves %2e%2e in a path, and a server may interpret it as ..
    if "%" in scm.url.partition("#")[0]:
        return f"source paths with % are not allowed: {scm.url}", f"use {SOURCE_URL_FORM}"
    return "", ""


def source_repository_url(scm: SourceURL) -> str:
    """Return the source URL without the commit, with the user name if there is one."""
    user = f"{scm.user}@" if scm.user else ""
    return f"{scm.scheme}{user}{scm.host}{scm.repository}"


def repository_path(source: str) -> str:
    """Return the path of a source's repository without ``.git``, e.g. ``container/hello``.

    :param source: source URL, with or without a commit
    """
    path = urllib.parse.urlsplit(source.partition("#")[0].removeprefix("git+")).path
    return path.strip("/").removesuffix(".git")


def default_components(repository: str) -> tuple[str, str]:
    """Return the package names that a repository may always build: its own name with and without ``-container``.

    :param repository: path of the repository, or its last component
    """
    name = repository.rpartition("/")[2]
    return name, f"{name}-container"


_STRING = {"type": ["string", "null"]}
_FLAG = {"type": ["boolean", "null"]}
_STRINGS = {"type": ["array", "null"], "items": {"type": "string"}}


class BuildOptions(TypedDict, total=False):
    """The third argument of ``buildContainer``; clients may send None for an option that is not set."""

    scratch: bool | None
    isolated: bool | None
    dependency_replacements: list[str] | None
    yum_repourls: list[str] | None
    arch_override: str | None
    git_branch: str
    koji_parent_build: str | None
    release: str | None
    flatpak: bool | None
    compose_ids: list[int] | None
    signing_intent: str | None
    skip_build: bool | None
    userdata: dict[str, object] | None
    operator_csv_modifications_url: str | None


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


#: Options that require a service not available here → that service.
UNAVAILABLE = {
    "flatpak": "a module build service",
    "compose_ids": "a compose service (ODCS)",
    "signing_intent": "a compose service (ODCS)",
    "dependency_replacements": "a dependency service (Cachito)",
    "operator_csv_modifications_url": "an operator manifest service",
}


def without_none(options: Mapping[str, object] | None) -> BuildOptions:
    """Return the options that are not None."""
    return cast("BuildOptions", {key: value for key, value in (options or {}).items() if value is not None})


def option_problems(options: object) -> list[str]:
    """Return what is wrong with ``buildContainer`` options, one sentence per problem; empty if they are valid."""
    import jsonschema

    if options is not None and not isinstance(options, Mapping):
        return [f"options must be a dictionary, not {type(options).__name__}"]
    given = without_none(options)
    validator = jsonschema.Draft7Validator(BUILD_CONTAINER_OPTIONS)
    problems = [_sentence(error) for error in sorted(validator.iter_errors(given), key=lambda e: list(e.path))]
    return problems or contradictions(given)


def unavailable_options(options: Mapping[str, object] | None) -> list[str]:
    """Return an error message for each option that requires an unavailable service."""
    given = options or {}
    return [
        f"option {option} is not supported: it requires {service}"
        for option, service in UNAVAILABLE.items()
        if given.get(option)
    ]


def isolated_release_problem(release: str) -> str:
    """Return why a release is not valid for an isolated build, as a predicate; empty if it is valid.

    The hub's next release only counts integer releases, so isolated builds do not affect it. The rule is that of
    osbs-client.
    """
    if re.fullmatch(r"[0-9]+\.[0-9]+(\..+)?", release):
        return ""
    return f"must have the form 3.1 or 3.1.fix, not {release[:80]!r}: integer releases are reserved for regular builds"


def repo_url_problem(url: str) -> str:
    """Return why a URL is not valid for ``--repo-url``, as a predicate without the URL; empty if it is valid.

    Task options can be read by every user of Koji and are recorded with the build.
    """
    try:
        has_credentials = "@" in urlsplit(url).netloc
    except ValueError:
        return "is not a URL"
    if has_credentials:
        return "contains a user name or password, which every user of Koji could read: serve the file without login"
    return ""


def contradictions(given: BuildOptions) -> list[str]:
    """Return what is wrong with options of valid types, one sentence per problem."""
    problems = []
    scratch, isolated, release = given.get("scratch"), given.get("isolated"), given.get("release")
    if scratch and isolated:
        problems.append("a build cannot be both scratch and isolated")
    if isolated and not release:
        problems.append("an isolated build requires a release")
    elif isolated and release and (problem := isolated_release_problem(release)):
        problems.append(f"the release of an isolated build {problem}")
    if given.get("arch_override") and not (scratch or isolated):
        problems.append("architectures can only be limited for scratch and isolated builds")
    if given.get("signing_intent") and given.get("compose_ids"):
        problems.append("signing_intent and compose_ids are mutually exclusive")
    for number, url in enumerate(given.get("yum_repourls") or []):
        if problem := repo_url_problem(url):
            problems.append(f"yum_repourls.{number} {problem}")
    if given.get("skip_build"):
        problems.append("skip_build is no longer supported: builds cannot be skipped")
    return problems


def _sentence(error: ValidationError) -> str:
    path = ".".join(str(part) for part in error.path)
    if error.validator == "required":
        return f"{error.message.split(chr(39))[1]} is required"
    if error.validator == "additionalProperties":
        return str(error.message).replace("Additional properties are not allowed", "unknown option")
    return f"{path}: {error.message}" if path else f"{error.message}"
