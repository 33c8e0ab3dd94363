"""Every error that a user can meet: what is wrong, what to do about it, and the exit code it ends in."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fedpkg_container.model.findings import Finding


class FedpkgContainerError(Exception):
    """The base of all errors of this program.

    :param reason: what is wrong and where, one sentence, no trailing newline
    :param solution: what to do next; empty when there is nothing to be done
    """

    exit_code = 1

    def __init__(self, reason: str, *, solution: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.solution = solution


class BuildFailedError(FedpkgContainerError):
    """A build ended in failure; the reason names the task or the step."""


class UsageError(FedpkgContainerError):
    """Arguments, or a configuration file, that cannot be used."""

    exit_code = 2


class RefusedError(FedpkgContainerError):
    """A check refused before anything was submitted.

    :param findings: what the checks found
    """

    exit_code = 3

    def __init__(self, reason: str, *, solution: str = "", findings: Sequence[Finding] = ()) -> None:
        super().__init__(reason, solution=solution)
        self.findings = tuple(findings)


class CheckoutError(RefusedError):
    """The folder is not a dist-git checkout that can be built."""


class NotAuthenticatedError(FedpkgContainerError):
    """The hub does not know who is asking."""

    exit_code = 4


class LostContactError(FedpkgContainerError):
    """The hub could not be reached, or did not answer in time."""

    exit_code = 5


class CanceledError(FedpkgContainerError):
    """The task was canceled."""

    exit_code = 6


class ProgramError(FedpkgContainerError):
    """A program that was started failed.

    :param program: its name
    :param status: its exit status; negative: the signal that ended it
    :param output: the end of what it printed, already without control characters
    """

    def __init__(self, program: str, status: int, output: str, *, solution: str = "") -> None:
        ended = f"was killed by signal {-status}" if status < 0 else f"failed with exit status {status}"
        last = output.strip().splitlines()[-1] if output.strip() else "it printed nothing"
        super().__init__(f"{program} {ended}: {last}", solution=solution)
        self.program = program
        self.status = status
        self.output = output


class ProgramOutputError(ProgramError):
    """A program printed more than it may and was stopped.

    :param limit: bytes
    """

    def __init__(self, program: str, limit: int) -> None:
        FedpkgContainerError.__init__(self, f"{program} printed more than {limit / 10**6:.3g} MB and was stopped")
        self.program = program
        self.limit = limit
        self.status = -signal.SIGTERM
        self.output = ""


class ProgramTimeoutError(FedpkgContainerError):
    """A program did not end in time and was stopped."""


class RegistryError(FedpkgContainerError):
    """A registry refused, or could not be reached."""


class RegistryUnavailableError(RegistryError):
    """A registry is not there or broken in this moment: it may be otherwise when asked again.

    :param retry_after: seconds for which it asks to be left alone; 0 when it does not say
    """

    def __init__(self, reason: str, *, solution: str = "", retry_after: float = 0.0) -> None:
        super().__init__(reason, solution=solution)
        self.retry_after = retry_after


class WrongContentError(RegistryError):
    """What came from a registry is not what its digest, or its size, says."""


class NoSuchImageError(RegistryError):
    """A registry was asked for an image that it does not have."""


class ConfigurationError(UsageError):
    """A configuration file has wrong or missing values; all of them are named."""
