# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether the mirror tree and the mirrors have the blobs of an image."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from fedpkg_container.errors import FedpkgContainerError
from fedpkg_container.registry.manifests import Descriptor
from fedpkg_container.registry.mirror.tree import Tree
from fedpkg_container.registry.probing.http import PRESENT, VERIFIED, ProbedBlob
from fedpkg_container.registry.probing.prober import Prober
from fedpkg_container.text import os_error_solution, os_error_text


class Availability:
    """Checks blobs in the mirror tree and on mirrors; blobs that a mirror has are not requested again. Thread-safe.

    :param tree: directory that ``mirror`` writes; None: not checked
    :param prober: mirrors to check too; may have none
    :param exports: returns whether ``mirror`` exports a repository; others are not checked
    """

    def __init__(self, tree: Path | None, prober: Prober, exports: Callable[[str], bool] = lambda _: True) -> None:
        self._tree, self._prober, self._exports = tree, prober, exports
        self._found: set[tuple[str, ProbedBlob]] = set()

    def missing(self, repository: str, blobs: Iterable[Descriptor]) -> Mapping[str, Mapping[str, str]]:
        """Return where blobs are missing: directory or URL → digest → reason.

        Mirrors are queried only if the tree has all of them: a CDN may cache for a long time that a blob is missing.

        :param repository: in the target, with the prefix
        :raises FedpkgContainerError: if the tree cannot be read
        """
        if not self._exports(repository):
            return {}
        wanted = [ProbedBlob(repository, blob.digest, blob.size) for blob in blobs]
        if self._tree is not None and (reasons := _missing_in_tree(self._tree, wanted)):
            return {str(self._tree): reasons}
        mirrors = self._prober.mirrors
        jobs = [(mirror, blob) for blob in wanted for mirror in mirrors if (mirror.url, blob) not in self._found]
        missing: dict[str, dict[str, str]] = {}
        for mirror, blob, verdict in self._prober.probe(jobs, download=lambda _: False):
            if verdict.kind in (PRESENT, VERIFIED):
                self._found.add((mirror.url, blob))
            else:
                missing.setdefault(mirror.url, {})[blob.digest] = verdict.reason
        return {mirror.url: missing[mirror.url] for mirror in mirrors if mirror.url in missing}


def _missing_in_tree(directory: Path, blobs: Iterable[ProbedBlob]) -> dict[str, str]:
    """Return the blobs that a tree does not have as complete files, each with the reason."""
    tree, reasons = Tree(directory, directory), {}
    for blob in blobs:
        try:
            status = tree.path(blob.repository, blob.digest).lstat()
        except FileNotFoundError:
            reasons[blob.digest] = "not exported yet"
            continue
        except OSError as error:
            raise FedpkgContainerError(
                f"the mirror tree cannot be read: {os_error_text(error)}", solution=os_error_solution(error)
            ) from error
        if not stat.S_ISREG(status.st_mode):
            reasons[blob.digest] = "not a regular file"
        elif status.st_size != blob.size:
            reasons[blob.digest] = f"it has {status.st_size} bytes instead of {blob.size}"
    return reasons
