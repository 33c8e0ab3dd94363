# SPDX-License-Identifier: GPL-2.0-or-later
"""promote and unpromote killed after each of their requests and repeated: they converge."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from fedpkg_container.model.koji_images import Candidate
from fedpkg_container.registry.promotion.journal import Journal
from fedpkg_container.registry.repository import Repository
from tests.support.killing import killed_after
from tests.support.promoting import Bench, make_site
from tests.support.registries import access, docker_registry

#: Between two requests after which the quick tests kill; the slow ones leave none out.
STEP = 30


@pytest.fixture(scope="module")
def hosts(directory: Path) -> Iterator[tuple[str, str]]:
    with docker_registry(directory) as one, docker_registry(directory) as other:
        yield one, other


@pytest.fixture(params=["mounted", "sent"])
def bench(request: pytest.FixtureRequest, directory: Path, hosts: tuple[str, str], tmp_path: Path) -> Bench:
    """Candidate and target in one registry, or in two."""
    stable = hosts[0] if request.param == "mounted" else hosts[1]
    return Bench(tmp_path, make_site(tmp_path, hosts[0], stable, access=access(directory)))


def elsewhere(bench: Bench, number: int) -> Bench:
    """The same site with another prefix and record, for the next kill."""
    directory = bench.directory / str(number)
    directory.mkdir()
    target = replace(bench.site.target("stable"), prefix=f"{bench.directory.name.replace('_', '-')}/{number}")
    site = replace(bench.site, journal=directory / "promotions.jsonl", targets={"stable": target})
    return Bench(directory, site)


def assert_whole(bench: Bench, candidate: Candidate) -> None:
    """Assert that whatever a tag means in this moment can be pulled as a whole."""
    for digest in set(bench.tags(candidate).values()):
        bench.contents(bench.place(candidate), digest)


def promoting(bench: Bench, step: int) -> int:
    """Promote a build over an older one, killed after each request; return the number of kills."""
    old, new = (bench.build(f"hello-1-{release}", layers=1) for release in (1, 2))
    for number in itertools.count(1, step):
        there = elsewhere(bench, number)
        assert there.promote(old)[0].succeeded
        if not killed_after(number, partial(there.promote, new)):
            return number // step
        assert_whole(there, new)
        (outcome,) = there.promote(new)
        assert outcome.succeeded, outcome.error
        there.assert_promoted(new)
        assert there.tags(new) == {"1-1": old.image.digest, **dict.fromkeys(["1-2", "1", "latest"], new.image.digest)}
        known = Journal(there.site.journal).history(str(there.place(new)))
        assert "stable" in known.promoted[new.image.digest]
        assert known.unfinished == {}
        assert known.before("latest", new.image.digest) == [old.image.digest], "so that it can be taken back"
        assert known.before("1", new.image.digest) == [old.image.digest]
        assert there.promote(new)[0].state == "unchanged"
    raise AssertionError("it never came to its end")


def taking_back(bench: Bench, step: int) -> int:
    """Unpromote and delete a build, killed after each request; return the number of kills."""
    layer = b"a layer that both have" * 50
    old, new = (bench.build(f"hello-1-{release}", layers=1, shared=[layer]) for release in (1, 2))
    for number in itertools.count(1, step):
        there = elsewhere(bench, number)
        assert all(each.succeeded for build in (old, new) for each in there.promote(build))
        before = there.contents(there.place(new), new.image.digest)
        if not killed_after(number, partial(there.unpromote, "hello-1-2", delete=True)):
            return number // step
        assert_whole(there, new)
        (outcome,) = there.unpromote("hello-1-2", delete=True)
        assert outcome.succeeded, outcome.error
        assert there.tags(new) == dict.fromkeys(["1-1", "1", "latest"], old.image.digest)
        there.assert_promoted(old)
        shared = there.contents(there.place(old), old.image.digest)
        gone = {each for each, content in before.items() if b"schemaVersion" in content and each not in shared}
        assert manifests_left(there, new, gone) == []
        known = Journal(there.site.journal).history(str(there.place(new)))
        assert (known.unfinished, new.image.digest in known.promoted) == ({}, False)
        assert there.unpromote("hello-1-2", delete=True)[0].state == "unchanged"
    raise AssertionError("it never came to its end")


def manifests_left(bench: Bench, candidate: Candidate, digests: set[str]) -> list[str]:
    """Those of some manifests that are in a build's repository."""
    place = bench.place(candidate)
    with bench.http(place.registry) as http:
        repository = Repository(http, place.repository)
        return [each for each in sorted(digests) if repository.head(each)]


@pytest.mark.parametrize("bench", ["mounted", pytest.param("sent", marks=pytest.mark.slow)], indirect=True)
def test_promotion_killed_at_some_requests(bench: Bench) -> None:
    assert promoting(bench, STEP) > 1


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_promotion_killed_after_every_request(bench: Bench) -> None:
    assert promoting(bench, 1) > 40


@pytest.mark.parametrize("bench", ["mounted"], indirect=True)
def test_unpromotion_killed_at_some_requests(bench: Bench) -> None:
    assert taking_back(bench, STEP) > 0


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("bench", ["mounted"], indirect=True)
def test_unpromotion_killed_after_every_request(bench: Bench) -> None:
    assert taking_back(bench, 1) > 30
