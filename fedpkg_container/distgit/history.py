"""Where commits stand in the history of a checkout."""

from __future__ import annotations

import re
from typing import Any

import git

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def distance(repository: Any, commit: str) -> tuple[int, int] | None:
    """By how many commits HEAD is ahead of a commit and behind it; None when the checkout does not have it.

    :param repository: ``git.Repo``
    """
    if not _COMMIT.fullmatch(commit):
        return None
    try:
        counted = repository.git.rev_list("--left-right", "--count", f"HEAD...{commit}")
    except git.GitCommandError:
        return None
    ahead, behind = counted.split()
    return int(ahead), int(behind)
