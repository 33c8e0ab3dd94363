# SPDX-License-Identifier: GPL-2.0-or-later
"""A registry in memory that behaves like one of ``registry_profiles``, with its storage on another host."""

from __future__ import annotations

import contextlib
import http.server
import json
import re
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedpkg_container.box.tls_server import tls_server
from fedpkg_container.registry.digests import digest_of
from fedpkg_container.registry.manifests import OCI_INDEX, Manifest
from tests.support import storage
from tests.support.memory_registry import Held, MemoryRegistry, MemoryStorage, send, send_blob
from tests.support.registry_profiles import (
    ALL,
    API,
    AWAY,
    EMPTY,
    INEFFECTIVE,
    KEEPS,
    MOUNTS,
    OWN,
    PAGE,
    REFUSED,
    SIGNED,
    TAGS_FIRST,
    UNREFERENCED,
    Profile,
)  # fmt: skip

_DIGEST_TAG = re.compile(r"sha256-[0-9a-f]{64}")
_EMPTY_INDEX = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}).encode()
Request = http.server.BaseHTTPRequestHandler


def error(code: str, message: str = "according to its profile") -> bytes:
    """The body of an error."""
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()


@dataclass
class ProfiledRegistry(MemoryRegistry):
    """The registry.

    :param storage: address of the host with its blobs
    """

    profile: Profile = field(default_factory=lambda: Profile("plain", ""))
    storage: str = ""
    #: Repository and name → what is seen instead, and until when.
    _seen_instead: dict[tuple[str, str], tuple[bytes | None, float]] = field(default_factory=dict)

    def _registry(self, request: Request, path: str, query: dict[str, str], body: bytes) -> None:
        profile = self.profile
        if profile.read_only and request.command not in ("GET", "HEAD"):
            text = b"The system is in read only mode. Any modification is prohibited."
            send(request, profile.read_only, text, {"Allow": "GET, HEAD"} if profile.read_only == 405 else {})
        elif path == "/v2/_catalog" and profile.catalog != 200:
            send(request, profile.catalog, error("UNAUTHORIZED"))
        elif "/referrers/" in path and profile.referrers != API:
            self._no_referrers(request)
        else:
            super()._registry(request, path, query, body)

    def _no_referrers(self, request: Request) -> None:
        kind = self.profile.referrers
        if kind == AWAY:
            send(request, 303, b"", {"Location": f"https://{self.storage}/login?token=hidden"})
        elif kind == PAGE:
            send(request, 200, b"<!doctype html><title>Sign in</title>", {"Content-Type": "text/html"})
        elif kind == EMPTY:
            send(request, 200, _EMPTY_INDEX)
        else:
            send(request, int(kind), error("UNSUPPORTED"))

    def _page(self, request: Request, key: str, names: list[str], path: str, query: dict[str, str]) -> None:
        if key == "tags" and not names and path.split("/")[2:-2] not in [n.split("/") for n in self.repositories]:
            send(request, 404, error("NAME_UNKNOWN"))
        elif self.profile.larger_pages == ALL:
            send(request, 200, json.dumps({key: names}).encode())
        elif self.profile.larger_pages == REFUSED and int(query.get("n", 0)) > self.profile.page:
            send(request, 400, error("PAGINATION_NUMBER_INVALID", "invalid number of results requested"))
        else:
            self.page = self.profile.page
            super()._page(request, key, names, path, query)

    def _blobs(self, request: Request, held: Held, name: str, query: dict[str, str], body: bytes) -> None:
        if request.command == "POST":
            self._post(request, held, query)
        elif request.command in ("GET", "HEAD") and name in held.blobs and self.profile.blobs != OWN:
            if request.command == "HEAD" and self.profile.head_blob:
                send(request, self.profile.head_blob, b"")
            else:
                send(request, 307, b"", {"Location": f"https://{self.storage}/{name}?signature=hidden"})
        else:
            super()._blobs(request, held, name, query, body)

    def _post(self, request: Request, held: Held, query: dict[str, str]) -> None:
        location = {"Location": f"{urllib.parse.urlsplit(request.path).path}1?state=x"}
        kind = self.profile.mount
        if "mount" not in query or kind in (200, 202):
            send(request, self.profile.start_upload, b"", location)
        elif kind == MOUNTS:
            super()._blobs(request, held, "", query, b"")
        elif kind == INEFFECTIVE:
            send(request, 201, b"")
        else:
            send(request, int(kind), error("UNKNOWN"))

    def _manifests(self, request: Request, held: Held, name: str, body: bytes) -> None:
        repository = next(key for key, value in self.repositories.items() if value is held)
        if self.profile.takes_tags_for_digests and _DIGEST_TAG.fullmatch(name):
            if request.command == "PUT":
                send(request, 400, error("TAG_INVALID"))
                return
            name = name.replace("-", ":")
        if request.command == "PUT":
            self._put(request, repository, name, body)
        elif request.command == "DELETE":
            self._delete(request, repository, name)
        else:
            raw = self._visible(repository, name)
            if raw is None:
                send(request, self.profile.missing, error("MANIFEST_UNKNOWN"))
            else:
                send(request, 200, raw, {"Docker-Content-Digest": digest_of(raw)})

    def _put(self, request: Request, repository: str, name: str, body: bytes) -> None:
        held, profile = self[repository], self.profile
        manifest = Manifest.read(body)
        if request.headers["Content-Type"] in profile.rejects:
            send(request, 400, error("MANIFEST_INVALID", "unknown media type"))
        elif profile.immutable and ":" not in name and held.manifests.get(name, body) != body:
            send(request, profile.immutable, error("TAG_INVALID", "the tag already exists and is immutable"))
        elif any(blob.digest not in held.blobs for blob in manifest.blobs if not blob.is_foreign):
            send(request, 400, error("MANIFEST_BLOB_UNKNOWN"))
        elif any(self._visible(repository, member.digest) is None for member in manifest.manifests):
            send(request, 400, error("MANIFEST_UNKNOWN"))
        else:
            for changed in dict.fromkeys((name, manifest.digest)):
                self._change(repository, changed, held.manifests.get(changed))
                held.manifests[changed] = body
            confirmed = manifest.subject and profile.subject_header
            send(request, 201, b"", {"OCI-Subject": manifest.subject} if confirmed else {})

    def _delete(self, request: Request, repository: str, name: str) -> None:
        held, kind = self[repository], self.profile.delete
        raw = held.manifests.get(name)
        tags = [tag for tag in held.tags if held.manifests[tag] == raw]
        if isinstance(kind, int):
            send(request, kind, error("UNSUPPORTED" if kind == 405 else "DENIED"))
        elif raw is None:
            send(request, self.profile.missing, error("MANIFEST_UNKNOWN"))
        elif kind == KEEPS:
            send(request, 202, b"")
        elif kind == TAGS_FIRST and ":" in name and tags:
            send(request, 400, error("GOOGLE_MANIFEST_DANGLING_TAG", f"still referenced by tag: {tags[0]}"))
        elif kind == UNREFERENCED and digest_of(raw) in _members(held):
            send(request, 405, error("DENIED", "referenced by an index"))
        elif kind != TAGS_FIRST and ":" not in name:
            send(request, 400, error("UNSUPPORTED"))
        else:
            for each in [name] if ":" not in name else [name, *tags]:
                self._change(repository, each, held.manifests.pop(each))
            send(request, 202, b"")

    def _change(self, repository: str, name: str, before: bytes | None) -> None:
        """Show the previous manifest for some time after a change."""
        if self.profile.late:
            self._seen_instead[repository, name] = before, time.monotonic() + self.profile.late

    def _visible(self, repository: str, name: str) -> bytes | None:
        before, until = self._seen_instead.get((repository, name), (None, 0.0))
        return before if time.monotonic() < until else self[repository].manifests.get(name)

    def answer_for_storage(self, request: Request) -> None:
        """Answer a request to its storage."""
        digest = urllib.parse.urlsplit(request.path).path[1:]
        if request.command == "HEAD" and self.profile.blobs == SIGNED:
            send(request, 403, b"")
        elif digest == "login":
            send(request, 200, b"<!doctype html><title>Sign in</title>", {"Content-Type": "text/html"})
        else:
            send_blob(request, next((held.blobs[digest] for held in self.repositories.values()), None))


def _members(held: Held) -> set[str]:
    """Return the digests to which the indexes of a repository refer."""
    manifests = [Manifest.read(held.manifests[digest]) for digest in held.digests]
    return {member.digest for manifest in manifests for member in manifest.manifests}


@contextlib.contextmanager
def profiled_registry(certificate: Path, profile: Profile) -> Iterator[ProfiledRegistry]:
    """Run a registry; images that a test needs before its own steps can be stored without requests.

    :param certificate: PEM file with certificate and key
    """
    registry = ProfiledRegistry(token=False, profile=profile)

    def handler(answer: Any) -> type[http.server.BaseHTTPRequestHandler]:
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                with contextlib.suppress(OSError):
                    answer(self)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    with contextlib.ExitStack() as stack:
        registry.address = stack.enter_context(tls_server(handler(registry.answer), certificate))
        if profile.blobs != OWN or profile.referrers == AWAY:
            registry.storage = stack.enter_context(tls_server(handler(registry.answer_for_storage), certificate))
        contents = MemoryStorage(registry, confirms_subject=profile.subject_header)
        stack.enter_context(storage.running_in(registry.address, contents))
        yield registry
