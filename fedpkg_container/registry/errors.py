# SPDX-License-Identifier: GPL-2.0-or-later
"""Conversion of errors of programs and HTTP requests to errors that name the image and a solution."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from fedpkg_container.errors import (
    NoSuchImageError,
    ProgramError,
    ProgramTimeoutError,
    RegistryError,
    RegistryUnavailableError,
)
from fedpkg_container.model.reference import ImageReference

#: Solution for a registry that fails.
CONTACT_ADMINISTRATORS = "try again later; if this persists, contact the site administrators"
#: Error texts of programs and registries; the first match counts.
_UNREACHABLE = re.compile(
    r"connection refused|no such host|i/o timeout|no route to host|connection reset", re.IGNORECASE
)
#: Errors that may be temporary; a wrong name is not.
_TEMPORARY = re.compile(r"connection refused|i/o timeout|no route to host|connection reset", re.IGNORECASE)
#: Go's text for a failed connection, at the end of a program's output.
_REASON = re.compile(r": ((?:dial|lookup|read|write) [^\"]+)\"?$")
_LATE = re.compile(r"\btimed out\b")
_BROKEN = re.compile(r"\b5[0-9][0-9] \(?[A-Z]|unexpected EOF|: EOF\b|TLS handshake timeout")
_MISSING = re.compile(
    r"manifest unknown|name unknown|repository name not known|status code (from registry )?404|status: 404",
    re.IGNORECASE,
)
_REFUSED = re.compile(r"\bunauthorized\b|: denied\b|authentication required", re.IGNORECASE)


def error_from_output(image: ImageReference, output: str) -> RegistryError:
    """Convert a program's error output to an error that names the image and a solution."""
    where = image.registry or "the registry"
    if _UNREACHABLE.search(output):
        last_line = output.strip().splitlines()[-1]
        match = _REASON.search(last_line)
        reason = match[1] if match else last_line[-200:]
        error_class = RegistryUnavailableError if _TEMPORARY.search(output) else RegistryError
        return error_class(
            f"{where} cannot be reached (required for {image}): {reason}",
            solution="check its name, or try again later",
        )
    if _MISSING.search(output):
        return no_such_image(image)
    if _REFUSED.search(output):
        return RegistryError(f"{where} denied access to {image}", solution="check the credentials in the auth file")
    last_line = output.strip().splitlines()[-1] if output.strip() else "no reason given"
    if _BROKEN.search(last_line):
        cause = last_line.rpartition('": ')[2][-300:]
        return RegistryUnavailableError(
            f"{where} failed (required for {image}): {cause}",
            solution=CONTACT_ADMINISTRATORS,
        )
    return RegistryError(f"{image}: {last_line[-500:]}")


def no_such_image(image: ImageReference) -> NoSuchImageError:
    """Return the error for an image that does not exist."""
    return NoSuchImageError(f"{image} does not exist", solution="check the name, and the tag or digest, in FROM")


def error_for_image(image: ImageReference, error: RegistryError) -> RegistryError:
    """Return an error of an HTTP request in the form used for errors of programs."""
    where, needed = image.registry, f"(required for {image}): {error.reason}"
    if _LATE.search(error.reason):
        return RegistryError(f"{where} does not respond in time {needed}", solution=CONTACT_ADMINISTRATORS)
    if not isinstance(error, RegistryUnavailableError):
        return error
    what = "cannot be reached" if _UNREACHABLE.search(error.reason) else "failed"
    return RegistryUnavailableError(f"{where} {what} {needed}", solution=CONTACT_ADMINISTRATORS)


@contextlib.contextmanager
def program_errors(image: ImageReference) -> Iterator[None]:
    """Convert errors of programs that use a registry to errors that name the image."""
    try:
        yield
    except ProgramError as error:
        raise error_from_output(image, error.output) from error
    except ProgramTimeoutError as error:
        raise RegistryError(
            f"{image.registry or 'the registry'} does not respond in time (required for {image}): {error.reason}",
            solution=CONTACT_ADMINISTRATORS,
        ) from error
