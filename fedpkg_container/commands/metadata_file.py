# SPDX-License-Identifier: GPL-2.0-or-later
"""The file of ``--metadata-file``: the outcome of a build, also if it fails or is canceled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fedpkg_container.commands.terminal import print_stderr
from fedpkg_container.errors import FedpkgContainerError, UsageError
from fedpkg_container.text import os_error_solution

if TYPE_CHECKING:
    from fedpkg_container.client import Client
    from fedpkg_container.progress.outcome import Outcome


def check_output_file(option: str, name: str) -> None:
    """Check before the submission that the file of an option can be written.

    :raises UsageError: if it cannot
    """
    from fedpkg_container.files import check_writable

    try:
        check_writable(Path(name))
    except OSError as error:
        raise UsageError(
            f"argument {option}: cannot write {name}: {error.strerror}",
            solution=os_error_solution(error) or "choose another file",
        ) from error


@contextmanager
def recorded_outcome(client: Client) -> Iterator[Outcome]:
    """Provide the outcome of a build, and write it to the file when the command ends, whatever its result is.

    :raises UsageError: if the file cannot be written, before anything else is done
    """
    from fedpkg_container.progress.outcome import Outcome

    outcome = Outcome()
    with _recorded(client, [outcome], outcome.fields):
        yield outcome


@contextmanager
def recorded_outcomes(client: Client) -> Iterator[list[Outcome]]:
    """Provide a list for the outcomes of several builds, and write them to the file when the command ends.

    :raises UsageError: if the file cannot be written, before anything else is done
    """
    outcomes: list[Outcome] = []
    with _recorded(client, outcomes, lambda: [outcome.fields() for outcome in outcomes]):
        yield outcomes


@contextmanager
def _recorded(client: Client, outcomes: Sequence[Outcome], content: Callable[[], object]) -> Iterator[None]:
    name = client.args.metadata_file
    if name:
        check_output_file("--metadata-file", name)
    try:
        yield
    except FedpkgContainerError as error:
        for outcome in outcomes:
            outcome.note_error(error)
        raise
    finally:
        if name:
            _write(Path(name), content())


def _write(path: Path, content: object) -> None:
    """Write the file; a failure is reported and does not change the exit status, which is that of the build."""
    import json

    from fedpkg_container.files import write_output

    try:
        write_output(path, json.dumps(content, indent=4) + "\n")
    except OSError as error:
        print_stderr(f"warning: cannot write {path}: {error.strerror}")
