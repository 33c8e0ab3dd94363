# SPDX-License-Identifier: GPL-2.0-or-later
"""promote --stage and --publish killed after each of their requests and repeated: they converge."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from fedpkg_container.registry.promotion.journal import Journal
from fedpkg_container.registry.referrers import staged_tag
from tests.e2e.promotion.test_promote_kills import assert_whole, elsewhere
from tests.support.killing import killed_after
from tests.support.promoting import Bench, make_site
from tests.support.registries import access, docker_registry

#: Between two requests after which the quick tests kill; the slow ones leave none out.
STEP = 42


@pytest.fixture(scope="module")
def hosts(directory: Path) -> Iterator[tuple[str, str]]:
    with docker_registry(directory) as one, docker_registry(directory) as other:
        yield one, other


@pytest.fixture
def bench(directory: Path, hosts: tuple[str, str], tmp_path: Path) -> Bench:
    """Candidate and target in two registries."""
    return Bench(tmp_path, make_site(tmp_path, *hosts, access=access(directory)))


def staging(bench: Bench, step: int) -> int:
    """Stage a build beside an older one, killed after each request; return the number of kills."""
    old, new = (bench.build(f"hello-1-{release}", layers=1, arches=("amd64",)) for release in (1, 2))
    for number in itertools.count(1, step):
        there = elsewhere(bench, number)
        assert there.promote(old)[0].succeeded
        before = there.tags(new)
        if not killed_after(number, partial(there.stage, new)):
            return number // step
        assert there.tags(new) == before
        if staged_tag(new.image.digest) in there.all_tags(new):
            there.assert_promoted(new)
        (result,) = there.stage(new)
        assert result.succeeded, result.error
        there.assert_promoted(new)
        assert (there.tags(new), there.all_tags(new)[staged_tag(new.image.digest)]) == (before, new.image.digest)
        known = Journal(there.site.journal).history(str(there.place(new)))
        assert ("stable" in known.staged[new.image.digest], known.unfinished) == (True, {})
        assert there.stage(new)[0].state == "unchanged"
    raise AssertionError("it never came to its end")


def publishing(bench: Bench, step: int) -> int:
    """Publish a staged build over an older one, killed after each request; return the number of kills."""
    old, new = (bench.build(f"hello-1-{release}", layers=1, arches=("amd64",)) for release in (1, 2))
    for number in itertools.count(1, step):
        there = elsewhere(bench, number)
        tree = there.directory / "tree"
        assert there.promote(old)[0].succeeded
        assert there.stage(new)[0].succeeded
        assert there.mirror(tree, repositories=(there.place(new).repository,)).errors == []
        if not killed_after(number, partial(there.publish, new, tree=tree)):
            return number // step
        assert_whole(there, new)
        (result,) = there.publish(new, tree=tree)
        assert result.succeeded, result.error
        assert there.tags(new) == {"1-1": old.image.digest, **dict.fromkeys(["1-2", "1", "latest"], new.image.digest)}
        known = Journal(there.site.journal).history(str(there.place(new)))
        assert ("stable" in known.promoted[new.image.digest], known.unfinished) == (True, {})
        assert known.before("latest", new.image.digest) == [old.image.digest], "so that it can be taken back"
        assert there.publish(new, tree=tree)[0].state == "unchanged"
    raise AssertionError("it never came to its end")


def test_staging_killed_at_some_requests(bench: Bench) -> None:
    assert staging(bench, STEP) > 1


def test_publication_killed_at_some_requests(bench: Bench) -> None:
    assert publishing(bench, STEP) > 0


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_staging_killed_after_every_request(bench: Bench) -> None:
    assert staging(bench, 1) > 30


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_publication_killed_after_every_request(bench: Bench) -> None:
    assert publishing(bench, 1) > 20
