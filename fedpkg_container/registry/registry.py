"""Reading and copying images with skopeo, and the few things for which it has no command."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from requests.utils import parse_header_links

from fedpkg_container.errors import (
    NoSuchImageError,
    ProgramError,
    ProgramTimeoutError,
    RegistryError,
    RegistryUnavailableError,
)
from fedpkg_container.model.arches import Platform
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.process import run
from fedpkg_container.registry.http import RegistryHTTP
from fedpkg_container.registry.patience import patiently

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
LISTS = frozenset({MANIFEST_LIST, OCI_INDEX})

#: The formats of images and lists: the names that programs have for them, and the media type of a list.
LIST_TYPES = {"v2s2": MANIFEST_LIST, "oci": OCI_INDEX}
FORMATS = tuple(LIST_TYPES)

#: Seconds for reading a manifest, and for copying an image.
READ_TIMEOUT = 60.0
COPY_TIMEOUT = 1800.0
#: The longest manifest that is read, bytes (what registries take).
LONGEST_MANIFEST = 4 * 1024 * 1024


@dataclass(frozen=True)
class Access:
    """How registries are reached.

    :param certificates: folder with ``ca.crt`` and client certificates (podman's ``--cert-dir``); None: the system's
    :param auth_file: credentials, as podman and docker keep them; None for the user's own
    :param timeout: seconds that bringing one image there or back may take
    :param patience: seconds for which a registry that is not there, or fails, is asked again
    """

    certificates: Path | None = None
    auth_file: Path | None = None
    timeout: float = COPY_TIMEOUT
    patience: float = 0.0

    def impatient(self, timeout: float | None = None) -> Access:
        """The same, with one attempt; within ``timeout`` seconds when that is less."""
        return replace(self, patience=0.0, timeout=min(timeout or self.timeout, self.timeout))

    def options(self, prefix: str = "") -> list[str]:
        """Arguments for buildah and skopeo; ``prefix`` is ``src-`` or ``dest-`` where a command has two registries."""
        options = []
        if self.certificates:
            options += [f"--{prefix}cert-dir", str(self.certificates)]
        if self.auth_file:
            options += [f"--{prefix}authfile", str(self.auth_file)]
        return options


@dataclass(frozen=True)
class Manifest:
    """A manifest or a list of manifests, as the registry has it."""

    digest: str
    content: dict[str, Any]

    @property
    def media_type(self) -> str:
        """Its media type; OCI leaves it out at times."""
        kind = self.content.get("mediaType")
        if isinstance(kind, str):
            return kind
        return OCI_INDEX if "manifests" in self.content else OCI_MANIFEST

    @property
    def is_list(self) -> bool:
        """Whether it stands for one image an arch."""
        return self.media_type in LISTS

    @property
    def members(self) -> list[dict[str, Any]]:
        """What a list refers to: media type, digest, size and platform of each image."""
        return [each for each in self.content.get("manifests") or [] if isinstance(each, dict)]

    def architectures(self) -> list[str]:
        """Go's names of the arches of a list."""
        platforms = (each.get("platform") for each in self.members)
        return [str(each.get("architecture")) for each in platforms if isinstance(each, dict)]

    def digest_for(self, platform: Platform) -> str:
        """The digest of the image for a platform; of a manifest that is no list its own.

        :raises NoSuchImageError: the list has none
        """
        if not self.is_list:
            return self.digest
        for each in self.members:
            if platform.fits(each.get("platform") or {}):
                return str(each["digest"])
        raise NoSuchImageError(f"{self.digest} has no image for {platform}", solution="use another base image")


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
        raw = self._skopeo("inspect", "--raw", *self.access.options(), f"docker://{image}", image=image)
        if len(raw) > LONGEST_MANIFEST:
            raise RegistryError(f"the manifest of {image} is longer than {LONGEST_MANIFEST} bytes")
        digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        if image.digest and image.digest != digest:
            raise RegistryError(f"the registry answered {digest} when it was asked for {image}")
        try:
            content = json.loads(raw)
        except ValueError as error:
            raise RegistryError(f"the manifest of {image} is not JSON: {error}") from error
        if not isinstance(content, dict):
            raise RegistryError(f"the manifest of {image} is not a JSON object")
        return Manifest(digest, content)

    def config(self, image: ImageReference, arch: str) -> str:
        """The configuration of an image, as JSON.

        :param arch: Go's name of the arch, where the image is one of several
        """
        options = ["--override-arch", arch, "inspect", "--config", "--raw", *self.access.options()]
        raw = self._skopeo(*options, f"docker://{image}", image=image)
        return raw.decode(errors="replace")

    def settings(self, image: ImageReference, arch: str) -> dict[str, Any]:
        """The same as an object: what an image says of itself.

        :raises RegistryError: it is none
        """
        try:
            settings = json.loads(self.config(image, arch))
        except ValueError as error:
            raise RegistryError(f"the configuration of {image} is not JSON: {error}") from error
        if not isinstance(settings, dict) or not isinstance(settings.get("config") or {}, dict):
            raise RegistryError(f"the configuration of {image} is not one of an image")
        return settings

    def copy(self, source: ImageReference, target: ImageReference) -> None:
        """Copy an image with all its arches; within one registry its layers are mounted, not sent.

        :raises RegistryError: it could not be copied
        """
        options = [*self.access.options("src-"), *self.access.options("dest-")]
        arguments = [
            "copy",
            "--quiet",
            "--all",
            "--preserve-digests",
            *options,
            f"docker://{source}",
            f"docker://{target}",
        ]
        self._skopeo(*arguments, image=target, timeout=self.access.timeout)

    def _skopeo(self, *arguments: str, image: ImageReference, timeout: float = READ_TIMEOUT) -> bytes:
        return patiently(lambda: self._run(*arguments, image=image, timeout=timeout), self.access.patience)

    def _run(self, *arguments: str, image: ImageReference, timeout: float) -> bytes:
        with registry_errors(image):
            return run(["skopeo", *arguments], timeout=min(timeout, self.access.timeout)).stdout

    def repositories(self, registry: str) -> Iterator[str]:
        """Every repository of a registry, page by page; skopeo has no command for that."""
        path: str | None = "/v2/_catalog?n=500"
        with self.http(registry) as http:
            while path:
                answer = http.request("GET", path)
                yield from answer.json(path).get("repositories") or []
                links = parse_header_links(answer.headers.get("Link", ""))
                path = next((each["url"] for each in links if each.get("rel") == "next"), None)

    def tags(self, repository: ImageReference) -> list[str]:
        """The tags of a repository; empty when there is no such repository."""
        bare = ImageReference(repository.registry, repository.repository)
        try:
            listed = self._skopeo("list-tags", *self.access.options(), f"docker://{bare}", image=bare)
        except NoSuchImageError:
            return []
        return list(json.loads(listed).get("Tags") or [])

    def delete(self, image: ImageReference) -> None:
        """Delete a manifest by digest, and with it every tag of that digest in its repository."""
        self._skopeo("delete", *self.access.options(), f"docker://{image}", image=image)

    def http(self, registry: str) -> RegistryHTTP:
        """A registry, for what skopeo has no command for."""
        return RegistryHTTP(registry, certificates=self.access.certificates, auth_file=self.access.auth_file)


#: What programs and registries say, and what it means; the first that fits counts.
_UNREACHABLE = re.compile(
    r"connection refused|no such host|i/o timeout|no route to host|connection reset", re.IGNORECASE
)
#: What may be otherwise in a moment; a name that is wrong stays wrong.
_TEMPORARY = re.compile(r"connection refused|i/o timeout|no route to host|connection reset", re.IGNORECASE)
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
        reason = said.strip().splitlines()[-1][-200:]
        kind = RegistryUnavailableError if _TEMPORARY.search(said) else RegistryError
        return kind(
            f"{where} cannot be reached, needed for {image}: {reason}", solution="check its name, or try again later"
        )
    if _MISSING.search(said):
        return NoSuchImageError(f"{image} does not exist", solution="check the name, and the tag or digest, in FROM")
    if _REFUSED.search(said):
        return RegistryError(f"{where} refuses access to {image}", solution="check the credentials in the auth file")
    last = said.strip().splitlines()[-1] if said.strip() else "no reason given"
    if _BROKEN.search(last):
        why = last.rpartition('": ')[2][-300:]
        return RegistryUnavailableError(
            f"{where} fails, needed for {image}: {why}",
            solution="try again later; tell the site's administrators when it stays so",
        )
    return RegistryError(f"{image}: {last[-500:]}")


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
            solution="try again later; tell the site's administrators when it stays so",
        ) from error
