# SPDX-License-Identifier: GPL-2.0-or-later
"""Promotions that sign: interrupted ones, and those that cannot."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fedpkg_container.errors import ConfigurationError, RegistryError
from fedpkg_container.registry import http as registry_http
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.signing.settings import SigningSettings
from fedpkg_container.registry.signing.storage import read_signatures
from fedpkg_container.registry.signing.verification import SIGNED
from tests.support.hubs import NAME, Hub
from tests.support.promoting import Bench
from tests.support.signing import KeyFiles, key_files, signing_bench, verified

MakeHub = Callable[..., Hub]
PAGE = Path(__file__).parents[2] / "docs" / "howto" / "signing.md"
#: Number of the changes of the target before the first signature is pushed: two blobs and two manifests.
FIRST_SIGNATURE = 4


@pytest.fixture
def keys(tmp_path: Path) -> KeyFiles:
    return key_files(tmp_path)


def test_registry_that_lists_no_referrers_in_the_only_format(make_hub: MakeHub, keys: KeyFiles) -> None:
    hub = make_hub("gitlab")
    bench = signing_bench(hub.bench, keys.settings, sign=True, signature_formats=("bundle",))
    (result,) = bench.promote(bench.build(layers=1))
    assert (result.state, result.solution) == ("failed", "set signature_formats = tag for the target stable")
    assert not any(":" not in name for name in hub.server[NAME].manifests), "no tag was set"


def test_bundles_that_the_registry_rejects(make_hub: MakeHub, keys: KeyFiles) -> None:
    hub = make_hub("zot")
    hub.server.faults[f"PUT /v2/{NAME}/manifests/sha256-"] = [(403)] * 9
    bench = signing_bench(hub.bench, keys.settings, sign=True)
    (result,) = bench.promote(bench.build(layers=1))
    assert (result.state, result.tags[0].what) == ("failed", "set")
    assert "1.0-1" not in hub.server[NAME].manifests


def test_required_signature_is_made_without_an_option_and_of_tagged_images(make_hub: MakeHub, keys: KeyFiles) -> None:
    hub = make_hub("zot")
    candidate = hub.bench.build(layers=1)
    assert list(hub.bench.promote(candidate)[0].signed) == []
    bench = signing_bench(hub.bench, keys.settings, sign=True)
    (result,) = bench.promote(candidate)
    assert (result.state, len(result.signed)) == ("promoted", 3)
    assert bench.promote(candidate)[0].state == "unchanged"


@pytest.mark.programs
def test_no_tag_is_set_if_an_image_cannot_be_signed(make_hub: MakeHub, tmp_path: Path) -> None:
    hub = make_hub("zot")
    own, other = key_files(tmp_path), key_files(tmp_path, "other")
    failing = replace(own.settings, key="", command=("sh", "-c", "echo of no use >&2; exit 3"), public_key=other.public)
    bench = signing_bench(hub.bench, failing, sign=True)
    first, second = bench.build(layers=1), bench.build("world-1-1", "world", layers=1)
    results = bench.promote(first, second)
    assert [(result.state, result.error) for result in results] == [
        ("failed", "sh failed (exit status 3): of no use")
    ] * 2
    for name in ("hello", "world"):
        assert not any(":" not in tag for tag in hub.server[f"stable/{name}"].manifests)
    with pytest.raises(ConfigurationError, match=r"own\.pub is not the public key of .*other\.key"):
        signing_bench(hub.bench, replace(other.settings, public_key=own.public)).promote(first, sign=True)
    with pytest.raises(ConfigurationError, match="no signing key is configured"):
        hub.bench.promote(first, sign=True)


@pytest.mark.programs
@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_command_of_a_site(kind: str, make_hub: MakeHub, tmp_path: Path) -> None:
    """The command of the documentation, in a program of the site."""
    hub, files, program = make_hub("zot"), key_files(tmp_path, kind, kind), tmp_path / "sign"
    documented = re.search(r"^\| file of openssl \| `(openssl .+) FILE (.+)` \|$", PAGE.read_text(), re.MULTILINE)
    assert documented
    program.write_text(f"#!/bin/sh\nexec {documented[1]} {files.private} {documented[2]}\n")
    program.chmod(0o755)
    bench = signing_bench(hub.bench, SigningSettings(command=(str(program),), public_key=files.public), sign=True)
    candidate = bench.build(layers=1, arches=("amd64",), artifacts=False)
    assert bench.promote(candidate)[0].error == ""
    with bench.http(hub.server.address) as http:
        assert verified(bench, Repository(http, NAME), candidate.image.digest).formats == ("bundle", "tag")


def interrupted_and_repeated(hub: Hub, bench: Bench, monkeypatch: pytest.MonkeyPatch, step: int) -> int:
    """Promote, interrupted before the n-th change of the target, and again; return the last n.

    What an exception leaves is the same as what a kill leaves, because nothing is cleaned up.
    """
    request, left = registry_http.RegistryHTTP.request, 0

    def limited(self: registry_http.RegistryHTTP, method: str, path: str, **more: object) -> object:
        nonlocal left
        left -= method == "PUT"
        if left < 0 and method == "PUT":
            raise RegistryError("interrupted")
        return request(self, method, path, **more)  # type: ignore[arg-type]

    candidate = bench.build(layers=1, arches=("amd64",), artifacts=False)
    for number in itertools.count(FIRST_SIGNATURE, step):
        there = signing_bench(bench, bench.site.signing, prefix=f"stable/{number}")
        held, left = hub.server[f"stable/{number}/hello"], number
        with monkeypatch.context() as patched, there.http(hub.server.address) as http:
            patched.setattr(registry_http.RegistryHTTP, "request", limited)
            (result,) = there.promote(candidate)
        if result.succeeded:
            return number
        assert result.error == "interrupted"
        with there.http(hub.server.address) as http:
            repository = Repository(http, f"stable/{number}/hello")
            if {"1.0-1", "1.0", "latest"} & held.manifests.keys():
                found = verified(there, repository, candidate.image.digest)
                assert found.status == SIGNED, "a tag never names an unsigned image"
            assert there.promote(candidate)[0].succeeded
            signatures = read_signatures(repository, candidate.image.digest, ("bundle", "tag"))
            assert sorted(signature.format for signature in signatures) == ["bundle", "tag"]
            assert verified(there, repository, candidate.image.digest).status == SIGNED
    raise AssertionError("it never came to its end")


@pytest.mark.parametrize("name", ["zot", "docker-registry-2"])
@pytest.mark.parametrize("step", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_interrupted_and_repeated(
    name: str, step: int, make_hub: MakeHub, keys: KeyFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = make_hub(name)
    bench = signing_bench(hub.bench, keys.settings, sign=True)
    assert interrupted_and_repeated(hub, bench, monkeypatch, step) > FIRST_SIGNATURE + 10
