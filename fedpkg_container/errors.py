# SPDX-License-Identifier: GPL-2.0-or-later
"""Errors that users can see: what is wrong, what to do about it, and the exit status of the program."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fedpkg_container.model.findings import Finding


class FedpkgContainerError(Exception):
    """Base class of all errors of this project.

    :param reason: what is wrong and where: one sentence without a full stop
    :param solution: what to do next; empty if the user can do nothing
    """

    exit_code = 1

    def __init__(self, reason: str, *, solution: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.solution = solution


class BuildFailedError(FedpkgContainerError):
    """A build failed; the reason names the task or the step."""


class UsageError(FedpkgContainerError):
    """Invalid arguments or an invalid configuration file."""

    exit_code = 2


class RefusedError(FedpkgContainerError):
    """Checks refused the request before anything was submitted.

    :param findings: all findings of the checks
    """

    exit_code = 3

    def __init__(self, reason: str, *, solution: str = "", findings: Sequence[Finding] = ()) -> None:
        super().__init__(reason, solution=solution)
        self.findings = tuple(findings)


class CheckoutError(RefusedError):
    """The directory is not a dist-git checkout that can be built."""


class NotAuthenticatedError(FedpkgContainerError):
    """The hub rejected the credentials, or there are none."""

    exit_code = 4


class LostContactError(FedpkgContainerError):
    """The hub could not be reached or did not respond in time."""

    exit_code = 5


class CanceledError(FedpkgContainerError):
    """The task was canceled."""

    exit_code = 6


class StillRunningError(FedpkgContainerError):
    """A build was submitted and is still running, but this program cannot follow it any longer."""

    exit_code = 7


class LockedError(FedpkgContainerError):
    """Another process holds a lock for longer than this one waits."""

    exit_code = 8


class NotMirroredError(FedpkgContainerError):
    """Mirrors do not have all blobs of an image yet; nothing was changed.

    :param missing: directory of the mirror tree, or URL of a mirror → digest → reason
    """

    exit_code = 9

    def __init__(self, reason: str, missing: Mapping[str, Mapping[str, str]], *, solution: str = "") -> None:
        super().__init__(reason, solution=solution)
        self.missing = missing


class ProgramError(FedpkgContainerError):
    """A program that this process started failed.

    :param program: name of the program
    :param status: exit status; if negative, the number of the signal that killed it
    :param output: end of its output, without control characters
    """

    def __init__(self, program: str, status: int, output: str, *, solution: str = "") -> None:
        outcome = f"was killed by signal {-status}" if status < 0 else f"failed with exit status {status}"
        last_line = output.strip().splitlines()[-1] if output.strip() else "no output"
        super().__init__(f"{program} {outcome}: {last_line}", solution=solution)
        self.program = program
        self.status = status
        self.output = output


class ProgramOutputError(ProgramError):
    """A program was stopped because its output exceeded the limit.

    :param limit: bytes
    """

    def __init__(self, program: str, limit: int) -> None:
        FedpkgContainerError.__init__(self, f"{program} printed more than {limit / 10**6:.3g} MB and was stopped")
        self.program = program
        self.limit = limit
        self.status = -signal.SIGTERM
        self.output = ""


class ProgramTimeoutError(FedpkgContainerError):
    """A program exceeded its time limit and was stopped."""


class RegistryError(FedpkgContainerError):
    """A registry refused a request or could not be reached."""


class RegistryUnavailableError(RegistryError):
    """A registry is temporarily unavailable: retrying may help.

    :param retry_after: seconds to wait before a retry, as the registry requests (Retry-After); 0 if it does not
    :param status: HTTP status; 0 if there was no response
    """

    def __init__(self, reason: str, *, solution: str = "", retry_after: float = 0.0, status: int = 0) -> None:
        super().__init__(reason, solution=solution)
        self.retry_after = retry_after
        self.status = status


class UnexpectedResponseError(RegistryError):
    """A registry responded, but not as requested, and a retry would not help.

    :param status: HTTP status; 0 if only the content is not as expected
    :param codes: error codes in the response, e.g. ``TAG_INVALID``
    """

    def __init__(self, reason: str, *, solution: str = "", status: int = 0, codes: Sequence[str] = ()) -> None:
        super().__init__(reason, solution=solution)
        self.status = status
        self.codes = tuple(codes)


class AccessDeniedError(UnexpectedResponseError):
    """A registry denied a request; some do so for content that does not exist."""


class ReadOnlyRegistryError(RegistryError):
    """A registry rejects every change for the time being, e.g. during garbage collection."""


class WrongContentError(RegistryError):
    """Content received from a registry does not match its digest or size."""


class NoSuchImageError(RegistryError):
    """A registry does not have the requested image."""


class ConfigurationError(UsageError):
    """A configuration file has invalid or missing values; the reason lists all of them."""
