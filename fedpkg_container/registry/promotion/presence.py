"""Whether a registry has something, where it fails whenever it is asked for it.

docker-registry keeps an empty file of what it was writing when its disk was full. From then on it answers 500 when it
is asked for that, and it is well again as soon as that is sent once more. So what cannot be asked for counts as
missing: a registry that is really away says so when something is sent to it.
"""

from __future__ import annotations

import logging

from fedpkg_container.errors import RegistryUnavailableError
from fedpkg_container.registry.repository import Repository

logger = logging.getLogger(__name__)


def has_manifest(repository: Repository, digest: str) -> bool:
    """Whether a manifest is there, and can be had."""
    try:
        return repository.head(digest) == digest
    except RegistryUnavailableError as error:
        logger.warning("%s: taken for missing", error.reason)
        return False


def has_blob(repository: Repository, digest: str) -> bool:
    """Whether a blob is there, and can be had."""
    try:
        return repository.has_blob(digest)
    except RegistryUnavailableError as error:
        logger.warning("%s: taken for missing", error.reason)
        return False
