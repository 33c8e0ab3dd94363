# SPDX-License-Identifier: GPL-2.0-or-later
"""Names for an imported base image: its NVR and its repository."""

from __future__ import annotations

from dataclasses import dataclass

import koji

from fedpkg_container.errors import RefusedError, UsageError
from fedpkg_container.image.base.source import BaseSource
from fedpkg_container.model.nvr import (
    COMPONENT_LABEL,
    MAX_NVR_LENGTH,
    NVR,
    label_value,
    nvr_part_problem,
    package_problem,
    repository_problem,
)

_NVR_HINT = "pass its NVR: --nvr NAME-VERSION-RELEASE"


@dataclass(frozen=True)
class BaseIdentity:
    """The names of an imported base image.

    :param repository: without the registry
    """

    nvr: NVR
    repository: str


def identify(source: BaseSource, nvr: str, repository: str) -> BaseIdentity:
    """Return the names for a base image.

    :param nvr: requested NVR; empty for that of the labels
    :param repository: requested repository; empty for that of the label, or of the pull spec
    :raises RefusedError: if the image names neither
    :raises UsageError: if a name is not valid
    """
    return BaseIdentity(_parse_nvr(nvr) if nvr else _required_nvr(source), _repository(source, repository))


def _parse_nvr(text: str) -> NVR:
    try:
        parts = koji.parse_NVR(text)
    except koji.GenericError as error:
        raise UsageError(f"{text[:200]!r} is not a valid NVR", solution="write NAME-VERSION-RELEASE") from error
    return _check_nvr(NVR(parts["name"], parts["version"], parts["release"]))


def nvr_from_labels(source: BaseSource) -> NVR | None:
    """Return the NVR in the labels of a base image; None if they have none."""
    parts = list(_nvr_labels(source).values())
    return NVR(*parts) if all(parts) else None


def _nvr_labels(source: BaseSource) -> dict[str, str]:
    return {name: label_value(source.labels, name) for name in (COMPONENT_LABEL, "version", "release")}


def _required_nvr(source: BaseSource) -> NVR:
    values = _nvr_labels(source)
    missing = [name for name, value in values.items() if not value]
    if missing:
        raise RefusedError(f"{source.display_name} has no label {missing[0]}", solution=_NVR_HINT)
    return _check_nvr(NVR(values[COMPONENT_LABEL], values["version"], values["release"]))


def _check_nvr(nvr: NVR) -> NVR:
    for part, value, problem in (
        ("name", nvr.name, package_problem(nvr.name)),
        ("version", nvr.version, nvr_part_problem(nvr.version)),
        ("release", nvr.release, nvr_part_problem(nvr.release)),
    ):
        if problem:
            raise UsageError(f"the {part} {value[:80]!r} {problem}", solution=_NVR_HINT)
    if len(str(nvr)) > MAX_NVR_LENGTH:
        raise UsageError(f"the NVR has more than {MAX_NVR_LENGTH} characters", solution=_NVR_HINT)
    return nvr


def _repository(source: BaseSource, chosen: str) -> str:
    default = label_value(source.labels, "name") or (source.reference.repository if source.reference else "")
    name = chosen or default
    if not name:
        raise RefusedError(
            f"{source.display_name} has no label name", solution="pass its repository: --repository NAME"
        )
    problem = repository_problem(name)
    if problem:
        raise UsageError(f"the repository {name[:80]!r} {problem}", solution="choose another one: --repository NAME")
    return name
