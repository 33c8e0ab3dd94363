# SPDX-License-Identifier: GPL-2.0-or-later
"""The repositories of a target."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from fedpkg_container.errors import RegistryError, UnexpectedResponseError
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.config import Target
from fedpkg_container.registry.http import RegistryHTTP
from fedpkg_container.registry.pages import repositories
from fedpkg_container.registry.promotion.journal import Journal

_log = logging.getLogger(__name__)


def target_repositories(http: RegistryHTTP, target: Target, journal: Journal) -> list[str]:
    """Return the repositories of a target, sorted; those in the journal if the registry has no catalog.

    :raises RegistryError: if neither is available
    """
    try:
        names: Iterable[str] = list(repositories(http))
    except UnexpectedResponseError as error:
        references = map(ImageReference.parse, journal.repositories())
        names = [reference.repository for reference in references if reference.registry == target.registry]
        if not names:
            raise RegistryError(
                f"{error.reason}; the promotion journal contains none either",
                solution="check the account in the auth file, and whether it may list the repositories",
            ) from error
        _log.warning("%s: using the repositories in the promotion journal", error.reason)
    return sorted(name for name in names if is_in_target(name, target))


def is_in_target(name: str, target: Target) -> bool:
    """Return whether a repository of the target's registry belongs to the target."""
    return name.startswith(f"{target.prefix}/" if target.prefix else "")
