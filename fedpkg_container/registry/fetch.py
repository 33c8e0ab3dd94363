"""One image of a repository in a local directory, as skopeo's and buildah's ``dir:`` transport reads it.

The manifest is kept byte for byte, so that the image loaded from the directory has the same digest and the same image
ID as one that was pulled. A blob is a file that is called by the hexadecimal digits of its SHA-256 digest.
"""

from __future__ import annotations

import concurrent.futures
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from fedpkg_container.errors import RegistryError, WrongContentError
from fedpkg_container.model.limits import Deadline
from fedpkg_container.registry.blob_file import receive_blob
from fedpkg_container.registry.manifests import LONGEST_CONFIGURATION, Descriptor, Manifest
from fedpkg_container.registry.repository import Repository

Result = TypeVar("Result")

#: The content of the file by which the transport knows its directories (containers/image, directory_dest.go).
_VERSION = "Directory Transport Version: 1.1\n"
#: Blobs that are fetched at the same time.
PARALLEL = 4
#: Seconds between two calls of ``tick``.
INTERVAL = 1.0
#: Seconds for which transfers that were broken off are waited for.
LEAVE = 5.0
#: Most layers of an image; overlay allows fewer.
MOST_LAYERS = 1000


@dataclass(frozen=True)
class FetchLimits:
    """How large an image may be.

    :param size: bytes of configuration and layers as the registry has them, i.e. compressed
    :param layers: how many layers it may have
    """

    size: int
    layers: int = MOST_LAYERS


def fetch_image(
    source: Repository,
    digest: str,
    directory: Path,
    *,
    limits: FetchLimits,
    deadline: Deadline,
    tick: Callable[[], None] = lambda: None,
) -> Manifest:
    """Fetch one image, not a list, into a new directory; everything in it is verified by digest.

    :param source: the repository; after an error its ``http`` may have been abandoned
    :param digest: of the manifest
    :param directory: must not exist; the caller decides who can read it, by its parent
    :param tick: called before the first request and about every second; what it raises ends the transfer
    :returns: the manifest
    :raises WrongContentError: content is not what its digest says
    :raises RegistryError: the image is not there, too large, or the registry cannot be reached
    :raises BuildFailedError: the deadline has passed (or another kind, as the deadline says)
    :raises OSError: a file cannot be written; the directory is removed after any error
    """
    tick()
    directory.mkdir()
    try:
        (manifest,) = _run(source, [lambda: _manifest(source, digest, limits)], deadline, tick)
        (directory / "version").write_text(_VERSION)
        (directory / "manifest.json").write_bytes(manifest.raw)
        unique = {each.digest: each for each in manifest.blobs}
        _run(source, [_transfer(source, each, directory) for each in unique.values()], deadline, tick)
    except BaseException:
        shutil.rmtree(directory)
        raise
    return manifest


def _manifest(source: Repository, digest: str, limits: FetchLimits) -> Manifest:
    """Return the manifest of an image within the limits."""
    where = source.reference.at(digest)
    manifest = source.manifest(digest)
    if manifest.is_list:
        raise RegistryError(f"{where} is a list of images, not an image")
    config, *layers = manifest.blobs
    if len(layers) > limits.layers:
        raise RegistryError(f"{where} has {len(layers)} layers, more than {limits.layers}")
    if config.size > LONGEST_CONFIGURATION:
        raise RegistryError(f"the configuration of {where} is longer than {LONGEST_CONFIGURATION} bytes")
    sizes: dict[str, int] = {}
    for each in manifest.blobs:
        if each.is_foreign or each.facts.get("urls"):
            raise RegistryError(
                f"{where} has a layer that is kept outside of its registry: {each.digest}",
                solution="use another base image: layers are fetched from the image's own registry alone",
            )
        if each.is_manifest or not each.digest.startswith("sha256:"):
            raise RegistryError(f"{where} refers to a blob that builders do not fetch: {each.digest[:100]}")
        if sizes.setdefault(each.digest, each.size) != each.size:
            raise WrongContentError(f"the manifest of {where} gives two sizes for {each.digest}")
    if sum(sizes.values()) > limits.size:
        raise RegistryError(
            f"{where} is larger than {limits.size} bytes: {sum(sizes.values())}",
            solution="use a smaller base image; the limit is the site's",
        )
    return manifest


def _transfer(source: Repository, blob: Descriptor, directory: Path) -> Callable[[], None]:
    def received(_: int) -> None:
        if source.http.is_abandoned:
            raise RegistryError(f"{source.reference}: the transfer was ended")

    path = directory / blob.digest.partition(":")[2]
    return lambda: receive_blob(source, blob.digest, blob.size, path, received=received, resumed=received)


def _run(
    source: Repository, jobs: Iterable[Callable[[], Result]], deadline: Deadline, tick: Callable[[], None]
) -> list[Result]:
    """Do jobs at the same time; their results. The first error ends all of them."""
    pool = concurrent.futures.ThreadPoolExecutor(PARALLEL)
    futures = [pool.submit(each) for each in jobs]
    try:
        pending = set(futures)
        while pending:
            done, pending = concurrent.futures.wait(
                pending,
                timeout=min(INTERVAL, deadline.remaining),
                return_when=concurrent.futures.FIRST_EXCEPTION,
            )
            for each in done:
                each.result()
            if pending:
                deadline.check()
                tick()
    except BaseException:
        if any(not each.cancel() and not each.done() for each in futures):
            source.http.abandon()
            concurrent.futures.wait(futures, timeout=LEAVE)
        raise
    finally:
        pool.shutdown(wait=False)
    return [each.result() for each in futures]
