# SPDX-License-Identifier: GPL-2.0-or-later
"""What the program in a pod reads: the files of the Secret."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from fedpkg_container.errors import BuildFailedError
from fedpkg_container.model import pod as contract
from fedpkg_container.pod import build as pod_build
from fedpkg_container.pod.build import Inputs
from tests.support.cluster.scripted import spec


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """The directory of a pod's inputs."""
    (tmp_path / contract.SPEC_FILE).write_bytes(gzip.compress(json.dumps(spec(6).pack()).encode()))
    (tmp_path / contract.SITE_FILE).write_text("[registry]\ncandidate = registry.example.org\nretry_timeout = 7\n")
    (tmp_path / contract.TOPURL_FILE).write_text("https://files.example.org")
    return tmp_path


def test_the_inputs_of_a_build(inputs: Path) -> None:
    read = Inputs.read(inputs, policed=True)
    assert (read.spec, read.topurl, read.policed) == (spec(6), "https://files.example.org", True)
    assert read.config.access.retry_timeout == 7
    assert read.config.access.renewal_timeout == contract.RENEWAL_TIMEOUT, "it waits until its token is renewed"


@pytest.mark.parametrize(
    "content",
    [b"", b"text", gzip.compress(b"{"), gzip.compress(b"[]"), gzip.compress(b"{}")[:-9]],
    ids=["empty", "text", "no JSON", "a list", "cut off"],
)
def test_an_invalid_spec(inputs: Path, content: bytes) -> None:
    (inputs / contract.SPEC_FILE).write_bytes(content)
    with pytest.raises(BuildFailedError):
        Inputs.read(inputs)


def test_a_spec_that_is_too_long(inputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pod_build, "MAX_SPEC_SIZE", 50)
    with pytest.raises(BuildFailedError, match="not a build spec"):
        Inputs.read(inputs)
