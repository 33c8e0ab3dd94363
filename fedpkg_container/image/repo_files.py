"""Fetching .repo files."""

from __future__ import annotations

import time

import requests

from fedpkg_container.errors import RefusedError
from fedpkg_container.text import printable_line

#: Seconds for connecting and for each answer, and for the whole file.
TIMEOUT = 30
DEADLINE = 120
#: The longest file, bytes.
LONGEST = 1024 * 1024


def fetch_repo_file(url: str) -> str:
    """The text of a .repo file.

    :raises RefusedError: it cannot be read
    """
    try:
        return _fetch(url).decode()
    except (requests.RequestException, OSError, ValueError) as error:
        raise RefusedError(
            f"{printable_line(url)} cannot be read as a .repo file: {printable_line(str(error))}",
            solution="give --repo-url the http(s) address of one",
        ) from error


def _fetch(url: str) -> bytes:
    deadline = time.monotonic() + DEADLINE
    content = b""
    with requests.get(url, timeout=TIMEOUT, stream=True) as answer:
        answer.raise_for_status()
        for part in answer.iter_content(16 * 1024):
            content += part
            if len(content) > LONGEST:
                raise ValueError(f"it is longer than {LONGEST} bytes")
            if time.monotonic() > deadline:
                raise ValueError(f"it has not come within {DEADLINE} s")
    return content
