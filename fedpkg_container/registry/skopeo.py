"""Registries, as a site reaches them: images are read over HTTP, and copied from elsewhere with skopeo."""

from __future__ import annotations

import contextlib
import json
import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fedpkg_container.errors import (
    NoSuchImageError,
    ProgramError,
    ProgramTimeoutError,
    RegistryError,
    RegistryUnavailableError,
)
from fedpkg_container.model.limits import Deadline
from fedpkg_container.model.platforms import Platform
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.process import run
from fedpkg_container.registry.address_guard import AddressGuard
from fedpkg_container.registry.http import ATTEMPTS, RegistryHTTP
from fedpkg_container.registry.manifests import LONGEST_CONFIGURATION, Manifest
from fedpkg_container.registry.repository import Repository, repositories
from fedpkg_container.registry.retry import patiently

logger = logging.getLogger(__name__)

#: Seconds for reading a manifest, and for copying an image.
READ_TIMEOUT = 60.0
COPY_TIMEOUT = 1800.0


@dataclass(frozen=True)
class Access:
    """How registries are reached.

    :param certificates: folder with ``ca.crt`` and client certificates (podman's ``--cert-dir``); None: the system's
    :param auth_file: credentials, as podman and docker keep them; None for the user's own
    :param timeout: seconds that bringing one image there or back may take
    :param patience: seconds for which a registry that is not there, or fails, is asked again
    :param attempts: how often a request over HTTP is made at least
    :param guard: which addresses requests over HTTP are sent to; None: any
    :param deadline: when all requests over HTTP have to have ended; None: never
    """

    certificates: Path | None = None
    auth_file: Path | None = None
    timeout: float = COPY_TIMEOUT
    patience: float = 0.0
    attempts: int = ATTEMPTS
    guard: AddressGuard | None = None
    deadline: Deadline | None = None

    def impatient(self, timeout: float | None = None) -> Access:
        """The same, with one attempt; within ``timeout`` seconds when that is less."""
        return replace(self, patience=0.0, attempts=1, timeout=min(timeout or self.timeout, self.timeout))

    def options(self, prefix: str = "") -> list[str]:
        """Arguments for buildah and skopeo; ``prefix`` is ``src-`` or ``dest-`` where a command has two registries."""
        options = []
        if self.certificates:
            options += [f"--{prefix}cert-dir", str(self.certificates)]
        if self.auth_file:
            options += [f"--{prefix}authfile", str(self.auth_file)]
        return options


class Registry:
    """Registries, reached in one way.

    :param access: certificates and credentials
    """

    def __init__(self, access: Access) -> None:
        self.access = access

    def manifest(self, image: ImageReference) -> Manifest:
        """The manifest of an image; its digest is that of the bytes that came, and must be the one asked for.

        :raises NoSuchImageError: there is no such image
        :raises RegistryError: the registry cannot be reached, refuses, or answers something else than was asked for
        """
        with self._image(image) as repository:
            return repository.manifest(image.digest or image.tag or "latest")

    def settings(self, image: ImageReference, platform: Platform | None = None) -> dict[str, Any]:
        """The configuration of an image, as an object: what it says of itself.

        :param platform: which member is meant, where the image is a list
        :raises RegistryError: it has none, or it is not the configuration of an image
        """
        with self._image(image) as repository:
            manifest = repository.manifest(image.digest or image.tag or "latest")
            if manifest.is_list and platform is not None:
                manifest = repository.manifest(manifest.digest_for(platform))
            if not manifest.blobs or manifest.blobs[0].size > LONGEST_CONFIGURATION:
                raise RegistryError(f"{image} has no configuration that can be read")
            content = repository.blob(manifest.blobs[0])
        try:
            settings = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise RegistryError(f"the configuration of {image} is not JSON: {error}") from error
        if not isinstance(settings, dict) or not isinstance(settings.get("config") or {}, dict):
            raise RegistryError(f"the configuration of {image} is not one of an image")
        return settings

    @contextlib.contextmanager
    def _image(self, image: ImageReference) -> Iterator[Repository]:
        """The repository of an image; when something is missing, the error names the image."""
        with self.repository(image) as repository:
            try:
                yield repository
            except NoSuchImageError as error:
                raise no_such_image(image) from error

    def bring(self, source: str, options: Sequence[str], target: ImageReference, *, exactly: bool) -> None:
        """Bring an image with all its arches to a registry from wherever skopeo reads it.

        :param source: as skopeo names it
        :param options: skopeo's, for reading it
        :param exactly: its manifests must stay what they are
        :raises RegistryError: it could not be brought there
        """
        exact = ["--preserve-digests"] if exactly else []
        arguments = ["copy", "--quiet", "--all", *exact, *options, *self.access.options("dest-")]
        self._skopeo(*arguments, source, f"docker://{target}", image=target, timeout=self.access.timeout)

    def _skopeo(self, *arguments: str, image: ImageReference, timeout: float = READ_TIMEOUT) -> bytes:
        notices: list[str] = []

        def told(error: RegistryUnavailableError) -> None:
            if not notices:
                logger.warning("waiting, up to %g s: %s", self.access.patience, error.reason)
            notices.append(error.reason)

        return patiently(lambda: self._run(*arguments, image=image, timeout=timeout), self.access.patience, told=told)

    def _run(self, *arguments: str, image: ImageReference, timeout: float) -> bytes:
        with registry_errors(image):
            return run(["skopeo", *arguments], timeout=min(timeout, self.access.timeout)).stdout

    def repositories(self, registry: str) -> Iterator[str]:
        """Every repository of a registry, page by page; skopeo has no command for that."""
        with self.http(registry) as http:
            yield from repositories(http)

    def tags(self, repository: ImageReference) -> list[str]:
        """The tags of a repository; empty when there is no such repository."""
        with self.repository(repository) as found:
            return list(found.tags())

    def set_tags(self, image: ImageReference, tags: Iterable[str]) -> None:
        """Let tags of an image's repository mean it, with all its arches: its manifest is put there again.

        skopeo's copy takes an answer of 500 for a refusal of the manifest's type, and that would not be tried again.

        :param image: by digest
        :raises RegistryError: one could not be set
        """
        with self.repository(image) as repository:
            manifest = repository.manifest(image.digest)
            for tag in tags:
                repository.put_manifest(tag, manifest)

    @contextlib.contextmanager
    def repository(self, reference: ImageReference) -> Iterator[Repository]:
        """A repository, for what skopeo has no command for, or is slow with.

        :param reference: also what errors say that it is needed for
        """
        with self.http(reference.registry) as http:
            try:
                yield Repository(http, reference.repository)
            except RegistryError as error:
                raise needed_for(reference, error) from error

    def http(self, registry: str) -> RegistryHTTP:
        """A registry; its connections are kept until it is closed."""
        return RegistryHTTP(
            registry,
            certificates=self.access.certificates,
            auth_file=self.access.auth_file,
            patience=self.access.patience,
            attempts=self.access.attempts,
            timeout=min(READ_TIMEOUT, self.access.timeout),
            storing=self.access.timeout,
            guard=self.access.guard,
            deadline=self.access.deadline,
        )


#: What to do when a registry fails.
TELL = "try again later; tell the site's administrators when it stays so"
#: What programs and registries say, and what it means; the first that fits counts.
_UNREACHABLE = re.compile(
    r"connection refused|no such host|i/o timeout|no route to host|connection reset", re.IGNORECASE
)
#: What may be otherwise in a moment; a name that is wrong stays wrong.
_TEMPORARY = re.compile(r"connection refused|i/o timeout|no route to host|connection reset", re.IGNORECASE)
#: Go's words for a connection that failed, at the end of what a program says.
_REASON = re.compile(r": ((?:dial|lookup|read|write) [^\"]+)\"?$")
_LATE = re.compile(r"\btimed out\b")
_BROKEN = re.compile(r"\b5[0-9][0-9] \(?[A-Z]|unexpected EOF|: EOF\b|TLS handshake timeout")
_MISSING = re.compile(
    r"manifest unknown|name unknown|repository name not known|status code (from registry )?404|status: 404",
    re.IGNORECASE,
)
_REFUSED = re.compile(r"\bunauthorized\b|: denied\b|authentication required", re.IGNORECASE)


def registry_error(image: ImageReference, said: str) -> RegistryError:
    """What a program said of a registry, as an error that names the image and what to do."""
    where = image.registry or "the registry"
    if _UNREACHABLE.search(said):
        last = said.strip().splitlines()[-1]
        found = _REASON.search(last)
        reason = found[1] if found else last[-200:]
        kind = RegistryUnavailableError if _TEMPORARY.search(said) else RegistryError
        return kind(
            f"{where} cannot be reached, needed for {image}: {reason}", solution="check its name, or try again later"
        )
    if _MISSING.search(said):
        return no_such_image(image)
    if _REFUSED.search(said):
        return RegistryError(f"{where} refuses access to {image}", solution="check the credentials in the auth file")
    last = said.strip().splitlines()[-1] if said.strip() else "no reason given"
    if _BROKEN.search(last):
        why = last.rpartition('": ')[2][-300:]
        return RegistryUnavailableError(
            f"{where} fails, needed for {image}: {why}",
            solution=TELL,
        )
    return RegistryError(f"{image}: {last[-500:]}")


def no_such_image(image: ImageReference) -> NoSuchImageError:
    """The error that says that an image is not there."""
    return NoSuchImageError(f"{image} does not exist", solution="check the name, and the tag or digest, in FROM")


def needed_for(image: ImageReference, error: RegistryError) -> RegistryError:
    """An error of a request, in the words that are said of programs that fail for the same reason."""
    where, needed = image.registry, f"needed for {image}: {error.reason}"
    if _LATE.search(error.reason):
        return RegistryError(f"{where} does not answer, or is too slow, {needed}", solution=TELL)
    if not isinstance(error, RegistryUnavailableError):
        return error
    what = "cannot be reached" if _UNREACHABLE.search(error.reason) else "fails"
    return RegistryUnavailableError(f"{where} {what}, {needed}", solution=TELL)


@contextlib.contextmanager
def registry_errors(image: ImageReference) -> Iterator[None]:
    """Turn errors of programs that talk to a registry into errors that name the image."""
    try:
        yield
    except ProgramError as error:
        raise registry_error(image, error.output) from error
    except ProgramTimeoutError as error:
        raise RegistryError(
            f"{image.registry or 'the registry'} does not answer, or is too slow, needed for {image}: {error.reason}",
            solution=TELL,
        ) from error
