# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading a repository for the catalog: its tags, and the images that are not known yet."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from fedpkg_container.errors import NoSuchImageError, RegistryError, RegistryUnavailableError
from fedpkg_container.model.nvr import COMPONENT_LABEL, label_value
from fedpkg_container.registry.catalog.facts import (
    MAX_ARCHES,
    MAX_DESCRIPTION,
    MAX_NAME,
    MAX_REFERRERS,
    MAX_URL,
    ArchImage,
    ImageFacts,
    Package,
    Referrer,
    clean,
    utc_time,
)
from fedpkg_container.registry.catalog.spdx import MEDIA_TYPE, SbomContents, parse_spdx
from fedpkg_container.registry.manifests import (
    MAX_CONFIG_SIZE,
    MAX_INDEX_DEPTH,
    Descriptor,
    ImageConfiguration,
    Manifest,
)
from fedpkg_container.registry.referrers import content, fallback_tag, fallback_tag_of, is_derived_tag, list_referrers
from fedpkg_container.registry.repository import Repository

_log = logging.getLogger(__name__)

#: Maximum size of an SBOM, bytes: twice that of an image with 10,000 RPMs. Several are parsed at the same time.
MAX_SBOM_SIZE = 24 * 1024 * 1024
_OCI = "org.opencontainers.image."
#: Labels or annotations, the first that is set counts.
_SUMMARY = ("summary", "io.k8s.display-name", f"{_OCI}title")
_DESCRIPTION = ("description", f"{_OCI}description", "io.k8s.description")
_SOURCE = ("vcs-url", f"{_OCI}source", "url")
_COMMIT = ("vcs-ref", f"{_OCI}revision")
_CREATED = (f"{_OCI}created", "build-date")
_BASE = (f"{_OCI}base.name", f"{_OCI}base.digest")


@dataclass
class RepositoryContents:
    """What was read of a repository.

    :param tags: tag → digest, without the tags of referrers
    :param images: digest → facts, of all tags
    :param packages: digest → packages, only of images that were read now
    """

    tags: dict[str, str] = field(default_factory=dict)
    images: dict[str, ImageFacts] = field(default_factory=dict)
    packages: dict[str, tuple[Package, ...]] = field(default_factory=dict)


def read_repository(repository: Repository, known: Mapping[str, ImageFacts], *, refresh: bool) -> RepositoryContents:
    """Return the contents of a repository.

    :param known: digest → facts of an earlier run, which are not read again
    :param refresh: check whether known images have other referrers now
    :raises RegistryError: if it cannot be read
    """
    contents, derived = RepositoryContents(), []
    for tag in repository.tags():
        if is_derived_tag(tag):
            derived.append(tag)
        elif digest := repository.head(tag):  # otherwise deleted since the listing
            contents.tags[tag] = digest
    for digest in dict.fromkeys(contents.tags.values()):
        facts = known.get(digest)
        if facts and refresh:
            subjects = [digest, *(image.digest for image in facts.arches)]
            if _referrers(repository, subjects, derived) != facts.referrers:
                facts = None
        try:
            if facts is None:
                facts, contents.packages[digest] = _read_image(repository, digest, derived)
        except NoSuchImageError:  # deleted since the listing
            contents.tags = {tag: each for tag, each in contents.tags.items() if each != digest}
            continue
        contents.images[digest] = facts
    return contents


def _read_image(repository: Repository, digest: str, derived: Iterable[str]) -> tuple[ImageFacts, tuple[Package, ...]]:
    manifest = repository.manifest(digest)
    members = list(_members(repository, manifest))[:MAX_ARCHES]
    configurations = {image.digest: _configuration(repository, image) for _, image in members}
    referrers = _referrers(repository, [digest, *(image.digest for _, image in members)], derived)
    sboms = {image.digest: _sbom(repository, image.digest, referrers) for _, image in members}
    arches, packages = [], dict[tuple[str, str], list[str]]()
    for platform, image in members:
        arch = platform or _platform(configurations[image.digest])
        sbom = sboms[image.digest]
        size = sum(blob.size for blob in image.blobs)
        arches.append(ArchImage(arch, image.digest, size, len(sbom.packages) if sbom else None))
        for package in sbom.packages if sbom else ():
            packages.setdefault(package, []).append(arch)
    first = members[0][1] if members else None
    configuration = configurations[first.digest] if first else None
    facts = _facts(
        _texts(manifest, first, configuration),
        next((sbom for sbom in sboms.values() if sbom), None),
        digest=digest,
        created=utc_time(configuration.content.get("created")) if configuration else "",
        arches=tuple(arches),
        referrers=referrers,
    )
    return facts, tuple(
        Package(name, version, tuple(package_arches)) for (name, version), package_arches in sorted(packages.items())
    )


def _facts(
    texts: Mapping[str, str],
    sbom: SbomContents | None,
    *,
    digest: str,
    created: str,
    arches: tuple[ArchImage, ...],
    referrers: tuple[Referrer, ...],
) -> ImageFacts:
    def first(names: Iterable[str], limit: int = MAX_NAME) -> str:
        return next((text for name in names if (text := clean(texts.get(name), limit))), "")

    nvr = [clean(label_value(texts, name), MAX_NAME) for name in (COMPONENT_LABEL, "version", "release")]
    component, version, release = nvr if all(nvr) else ("", "", "")
    base = "@".join(filter(None, (clean(texts.get(name)) for name in _BASE)))
    return ImageFacts(
        digest=digest,
        component=component,
        version=version,
        release=release,
        created=next((time for name in _CREATED if (time := utc_time(texts.get(name)))), created),
        summary=first(_SUMMARY),
        description=first(_DESCRIPTION, MAX_DESCRIPTION),
        source=(sbom.source if sbom else "") or first(_SOURCE, MAX_URL),
        commit=clean((sbom.commit if sbom else "") or first(_COMMIT)),
        parent=(sbom.parent if sbom else "") or base,
        arches=arches,
        referrers=referrers,
    )


def _members(
    repository: Repository, manifest: Manifest, depth: int = MAX_INDEX_DEPTH
) -> Iterator[tuple[str, Manifest]]:
    """Yield the images of an index with their platforms, without attestations; the image itself if it is not an index.

    The platform of such an image is in its configuration.
    """
    if not manifest.is_index:
        yield "", manifest
        return
    for member in manifest.manifests[:MAX_ARCHES]:
        platform = _member_platform(member)
        if platform == "unknown":
            continue
        image = repository.manifest(member.digest)
        if image.is_index:
            if depth > 1:
                yield from _members(repository, image, depth - 1)
        else:
            yield platform, image


def _member_platform(member: Descriptor) -> str:
    platform = member.fields.get("platform")
    return _platform_name(platform) if isinstance(platform, dict) else ""


def _platform(configuration: ImageConfiguration | None) -> str:
    return _platform_name(configuration.platform) if configuration else ""


def _platform_name(platform: Mapping[str, object]) -> str:
    """Return a platform in short form: ``amd64``, ``arm/v7``, ``windows/amd64``; ``unknown`` for attestations."""
    system, arch, variant = (clean(platform.get(name), 40) for name in ("os", "architecture", "variant"))
    if arch == "unknown":
        return arch
    return "/".join(part for part in ("" if system in ("linux", "") else system, arch, variant) if part)


def _configuration(repository: Repository, image: Manifest) -> ImageConfiguration | None:
    """Return the configuration of an image; None if there is no valid one (artifacts of other programs)."""
    try:
        if not image.blobs or image.blobs[0].size > MAX_CONFIG_SIZE:
            return None
        return ImageConfiguration.read(
            repository.blob(image.blobs[0]), where=str(repository.reference.at(image.digest))
        )
    except RegistryUnavailableError:
        raise
    except RegistryError as error:
        _log.warning("%s", error.reason)
        return None


def _texts(index: Manifest, image: Manifest | None, configuration: ImageConfiguration | None) -> dict[str, str]:
    """Return labels and annotations; annotations of the index take precedence."""
    texts: dict[str, str] = dict(configuration.labels) if configuration else {}
    for manifest in filter(None, (image, index)):
        annotations = manifest.content.get("annotations")
        if isinstance(annotations, dict):
            texts |= {name: text for name, text in annotations.items() if isinstance(text, str)}
    return texts


def _referrers(repository: Repository, subjects: Iterable[str], derived: Iterable[str]) -> tuple[Referrer, ...]:
    """Return the referrers of images, sorted.

    :param derived: tags of the repository that are derived from digests, as used by cosign
    """
    referrers_seen: set[Referrer] = set()
    for subject in dict.fromkeys(subjects):
        try:
            artifacts = list_referrers(repository, subject).artifacts
        except RegistryUnavailableError:
            raise
        except RegistryError as error:
            _log.warning("%s", error.reason)
            artifacts = ()
        referrers_seen |= {
            Referrer(subject, each.digest, clean(each.artifact_type or each.media_type)) for each in artifacts
        }
        tag = fallback_tag(subject)
        referrers_seen |= {Referrer(subject, each, f"cosign.{each.rpartition('.')[2]}") for each in derived
                  if each != tag and fallback_tag_of(each) == tag}  # fmt: skip
    return tuple(sorted(referrers_seen)[:MAX_REFERRERS])


def _sbom(repository: Repository, digest: str, referrers: Iterable[Referrer]) -> SbomContents | None:
    """Return the contents of the first valid SBOM of an image; None if there is none."""
    for referrer in referrers:
        if referrer.subject != digest or referrer.kind != MEDIA_TYPE:
            continue
        try:
            raw = content(repository, referrer.name, max_size=MAX_SBOM_SIZE)
        except RegistryUnavailableError:
            raise
        except RegistryError as error:
            _log.warning("%s", error.reason)
            continue
        if sbom := parse_spdx(raw):
            return sbom
        _log.warning("%s is not an SPDX document", repository.reference.at(referrer.name))
    return None
