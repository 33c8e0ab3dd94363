# SPDX-License-Identifier: GPL-2.0-or-later
"""Access to registries with a site's settings: images are read over HTTP, and copied from other sources by skopeo."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fedpkg_container.errors import (
    NoSuchImageError,
    RegistryError,
    RegistryUnavailableError,
)
from fedpkg_container.model.limits import Deadline
from fedpkg_container.model.platforms import Platform
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.process import run
from fedpkg_container.registry.address_guard import AddressGuard
from fedpkg_container.registry.errors import error_for_image, no_such_image, program_errors
from fedpkg_container.registry.http import ATTEMPTS, RegistryHTTP
from fedpkg_container.registry.manifests import MAX_CONFIG_SIZE, Manifest
from fedpkg_container.registry.pages import repositories
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.retry import retry

_log = logging.getLogger(__name__)

#: Seconds for reading a manifest, and for copying an image.
READ_TIMEOUT = 60.0
COPY_TIMEOUT = 1800.0


@dataclass(frozen=True)
class Access:
    """Settings for access to a registry.

    :param certificates: directory with ``ca.crt`` and client certificates (podman's ``--cert-dir``); None: podman's
    :param auth_file: credentials, as podman and docker store them; None for the user's own
    :param timeout: seconds for the transfer of one image
    :param retry_timeout: seconds for which an unavailable registry is retried
    :param attempts: minimum number of attempts per HTTP request
    :param guard: filter for IP addresses of HTTP requests; None: any
    :param deadline: when all HTTP requests must have ended; None: no limit
    :param blob_cache: directory in OCI image layout with blobs that need not be fetched; None for none
    :param renewal_timeout: seconds to wait until a token in ``auth_file`` that has expired is replaced
    """

    certificates: Path | None = None
    auth_file: Path | None = None
    timeout: float = COPY_TIMEOUT
    retry_timeout: float = 0.0
    attempts: int = ATTEMPTS
    guard: AddressGuard | None = None
    deadline: Deadline | None = None
    blob_cache: Path | None = None
    renewal_timeout: float = 0.0

    def without_retries(self, timeout: float | None = None) -> Access:
        """Return a copy with a single attempt, and at most ``timeout`` seconds."""
        limit = min(timeout or self.timeout, self.timeout)
        return replace(self, retry_timeout=0.0, attempts=1, timeout=limit, renewal_timeout=0.0)

    def options(self, prefix: str = "") -> list[str]:
        """Return arguments for buildah and skopeo; ``prefix``, if two registries are involved: src- or dest-."""
        options = []
        if self.certificates:
            options += [f"--{prefix}cert-dir", str(self.certificates)]
        if self.auth_file:
            options += [f"--{prefix}authfile", str(self.auth_file)]
        return options


class Registry:
    """Client for registries with one set of settings.

    :param access: certificates and credentials
    """

    def __init__(self, access: Access) -> None:
        self.access = access

    def manifest(self, image: ImageReference) -> Manifest:
        """Return the manifest of an image, verified against the requested digest.

        :raises NoSuchImageError: if the image does not exist
        :raises RegistryError: if the request fails, or the digest does not match
        """
        with self._image(image) as repository:
            return repository.manifest(image.digest or image.tag or "latest")

    def configuration(self, image: ImageReference, platform: Platform | None = None) -> dict[str, Any]:
        """Return the parsed image configuration.

        :param platform: selects an image of an image index
        :raises RegistryError: if there is none, or it is invalid
        """
        with self._image(image) as repository:
            manifest = repository.manifest(image.digest or image.tag or "latest")
            if manifest.is_index and platform is not None:
                manifest = repository.manifest(manifest.digest_for(platform))
            if not manifest.blobs or manifest.blobs[0].size > MAX_CONFIG_SIZE:
                raise RegistryError(f"{image} has no readable configuration")
            content = repository.blob(manifest.blobs[0])
        try:
            configuration = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise RegistryError(f"the configuration of {image} is not JSON: {error}") from error
        if not isinstance(configuration, dict) or not isinstance(configuration.get("config") or {}, dict):
            raise RegistryError(f"invalid image configuration of {image}")
        return configuration

    @contextlib.contextmanager
    def _image(self, image: ImageReference) -> Iterator[Repository]:
        """Open the repository of an image; errors name the image."""
        with self.repository(image) as repository:
            try:
                yield repository
            except NoSuchImageError as error:
                raise no_such_image(image) from error

    def copy_image(
        self, source: str, options: Sequence[str], target: ImageReference, *, preserve_digests: bool
    ) -> None:
        """Copy an image with all its architectures to a registry, from any source that skopeo supports.

        :param source: in skopeo's notation
        :param options: skopeo's options for the source
        :param preserve_digests: fail if a manifest would have to be converted
        :raises RegistryError: if it cannot be copied
        """
        preserve = ["--preserve-digests"] if preserve_digests else []
        arguments = ["copy", "--quiet", "--all", *preserve, *options, *self.access.options("dest-")]
        self._skopeo(*arguments, source, f"docker://{target}", image=target, timeout=self.access.timeout)

    def _skopeo(self, *arguments: str, image: ImageReference, timeout: float = READ_TIMEOUT) -> bytes:
        warned = False

        def warn(error: RegistryUnavailableError) -> None:
            nonlocal warned
            if not warned:
                limit = self.access.retry_timeout
                _log.warning("registry is unavailable, retrying, up to %g s: %s", limit, error.reason)
            warned = True

        def run_skopeo() -> bytes:
            return self._run(*arguments, image=image, timeout=timeout)

        return retry(run_skopeo, self.access.retry_timeout, on_wait=warn)

    def _run(self, *arguments: str, image: ImageReference, timeout: float) -> bytes:
        with program_errors(image):
            return run(["skopeo", *arguments], timeout=min(timeout, self.access.timeout)).stdout

    def repositories(self, registry: str) -> Iterator[str]:
        """Yield the repositories of a registry, page by page; skopeo has no command for that."""
        with self.http(registry) as http:
            yield from repositories(http)

    def tags(self, repository: ImageReference) -> list[str]:
        """Return the tags of a repository; empty if it does not exist."""
        with self.repository(repository) as opened:
            return list(opened.tags())

    def set_tags(self, image: ImageReference, tags: Iterable[str]) -> None:
        """Set tags to an image with all its architectures, by storing its manifest under each of them.

        ``skopeo copy`` is not used: it takes HTTP 500 for an unsupported manifest type and does not retry.

        :param image: by digest
        :raises RegistryError: if a tag cannot be set
        """
        with self.repository(image) as repository:
            manifest = repository.pushed_manifest(image.digest)
            for tag in tags:
                repository.put_manifest(tag, manifest)

    @contextlib.contextmanager
    def repository(self, reference: ImageReference) -> Iterator[Repository]:
        """Open a repository, for what skopeo has no command for or is slow with.

        :param reference: also named in errors
        """
        with self.http(reference.registry) as http:
            try:
                yield Repository(http, reference.repository)
            except RegistryError as error:
                raise error_for_image(reference, error) from error

    def http(self, registry: str) -> RegistryHTTP:
        """Return a client for one registry, which keeps its connections until it is closed."""
        return RegistryHTTP(
            registry,
            certificates=self.access.certificates,
            auth_file=self.access.auth_file,
            retry_timeout=self.access.retry_timeout,
            attempts=self.access.attempts,
            timeout=min(READ_TIMEOUT, self.access.timeout),
            store_timeout=self.access.timeout,
            guard=self.access.guard,
            deadline=self.access.deadline,
            renewal_timeout=self.access.renewal_timeout,
        )
