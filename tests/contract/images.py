# SPDX-License-Identifier: GPL-2.0-or-later
"""Image builds for the contract tests: metadata of a content generator, uploads, reservations."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from dataclasses import dataclass, field
from typing import Any

from tests.contract.support import new_name

#: A component that no hub knows.
UNKNOWN_RPM: dict[str, Any] = {
    "type": "rpm",
    "name": "contract-unknown",
    "version": "1",
    "release": "1",
    "arch": "noarch",
    "epoch": None,
    "sigmd5": "0" * 32,
    "signature": None,
}

INDEX = {"index": {"pull": ["registry.example.com/contract@sha256:" + "0" * 64], "tags": ["1"]}}


def upload(session: Any, directory: str, name: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        path = os.path.join(temporary, name)
        with open(path, "wb") as file:
            file.write(content)
        session.uploadWrapper(path, directory)


def described(name: str, content: bytes, algorithm: str = "sha256") -> dict[str, Any]:
    """Return the part of an output's metadata that must match the uploaded file."""
    return {
        "filename": name,
        "filesize": len(content),
        "checksum": hashlib.new(algorithm, content).hexdigest(),
        "checksum_type": algorithm,
        "buildroot_id": 1,
    }


def image_output(name: str, content: bytes, **changes: Any) -> dict[str, Any]:
    return {
        **described(name, content),
        "type": "docker-image",
        "arch": "x86_64",
        "components": [],
        "extra": {"docker": {"id": "sha256:1"}, "image": {"arch": "x86_64"}},
        **changes,
    }


def log_output(name: str, content: bytes) -> dict[str, Any]:
    return {**described(name, content, "md5"), "type": "log", "arch": "noarch"}


@dataclass
class ImageImporter:
    """Reserves and imports builds of one image name with one account."""

    session: Any
    generator: str
    name: str = field(default_factory=lambda: new_name("image"))
    directory: str = field(default_factory=lambda: new_name("upload"))
    reserved: list[int] = field(default_factory=list)

    def nvr(self, release: str) -> str:
        return f"{self.name}-1-{release}"

    def data(self, release: str, **more: Any) -> dict[str, Any]:
        return {"name": self.name, "version": "1", "release": release, **more}

    def reserve(self, release: str, **more: Any) -> dict[str, Any]:
        reservation: dict[str, Any] = self.session.CGInitBuild(self.generator, self.data(release, **more))
        self.reserved.append(reservation["build_id"])
        return reservation

    def outputs(self, release: str) -> list[dict[str, Any]]:
        """Upload an image and a log; return their metadata."""
        image, log = f"image-{release}.tar.gz", f"x86_64-{release}.log"
        upload(self.session, self.directory, image, b"image " + release.encode())
        upload(self.session, self.directory, log, b"log " + release.encode())
        return [
            image_output(image, b"image " + release.encode()),
            log_output(log, b"log " + release.encode()),
        ]

    def metadata(self, release: str, outputs: list[dict[str, Any]], **build: Any) -> dict[str, Any]:
        now = time.time()
        return {
            "metadata_version": 0,
            "build": {
                **self.data(release),
                "source": "git+https://example.com/container/contract#0123",
                "start_time": now - 60,
                "end_time": now - 1,
                "extra": {"image": INDEX},
                **build,
            },
            "buildroots": [self.buildroot()],
            "output": outputs,
        }

    def buildroot(self) -> Any:
        return {
            "id": 1,
            "host": {"os": "Fedora", "arch": "x86_64"},
            "content_generator": {"name": self.generator, "version": "1"},
            "container": {"type": "none", "arch": "x86_64"},
            "components": [],
            "tools": [{"name": "buildah", "version": "1"}],
            "extra": {},
        }

    def imported(self, release: str, token: str | None = None, **build: Any) -> dict[str, Any]:
        """A complete build."""
        metadata = self.metadata(release, self.outputs(release), **build)
        result: dict[str, Any] = self.session.CGImport(metadata, self.directory, token)
        return result
