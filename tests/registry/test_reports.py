# SPDX-License-Identifier: GPL-2.0-or-later
"""Reports that must be true: of list, unpromote, and promotions by several processes, about registries with faults."""

from __future__ import annotations

import argparse
import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from fedpkg_container.commands.registry import list_promoted, unpromote
from fedpkg_container.commands.registry.results import status
from fedpkg_container.errors import FedpkgContainerError, LostContactError, RegistryError, RegistryUnavailableError
from fedpkg_container.hub import session as hub_session
from fedpkg_container.hub import untagging
from fedpkg_container.registry import referrers
from fedpkg_container.registry.digests import digest_of
from fedpkg_container.registry.manifests import ARTIFACT_MANIFEST, OCI_INDEX, OCI_MANIFEST, Manifest
from fedpkg_container.registry.mirror.options import Options
from fedpkg_container.registry.mirror.run import mirror
from fedpkg_container.registry.promotion import locks
from fedpkg_container.registry.promotion.journal import Journal
from fedpkg_container.registry.promotion.listing import list_images
from fedpkg_container.registry.promotion.promote import Promoter
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.skopeo import Registry
from tests.support.hubs import NAME, Hub
from tests.support.memory_registry import Fault
from tests.support.promoting import KOJI_TAG
from tests.support.pushing import image, index
from tests.support.storage import FOREIGN, stored
from tests.support.waiting import PATIENCE

MakeHub = Callable[..., Hub]

# list


def test_one_tag_that_fails_does_not_hide_the_others(make_hub: MakeHub, capsys: pytest.CaptureFixture[str]) -> None:
    hub = make_hub("zot")
    hub.stored()
    with Registry(hub.reached).http(hub.server.address) as http:
        for number in range(20):
            image(Repository(http, f"stable/other-{number:02}"), "x", "1")
    hub.server.faults[r"/v2/stable/other-07/manifests/1$"] = [500] * 99
    hub.server.faults[r"/v2/stable/other-09/tags"] = [403] * 99
    arguments = argparse.Namespace(to="stable", repository=[], staged=False, verify=False, json=True)
    assert list_promoted.run(arguments, hub.bench.site) == 1
    report = json.loads(capsys.readouterr().out)
    assert len(report["images"]) == 1 + 18
    assert [("other-07" in error, "other-09" in error) for error in report["errors"]] == [(True, False), (False, True)]
    arguments.json = False
    hub.server.faults.clear()
    assert list_promoted.run(arguments, hub.bench.site) == 0


@pytest.mark.parametrize("fault", [403, 500, Fault(200, {}, b"<html>")])
def test_registry_that_cannot_be_read_is_an_error(fault: int | Fault, make_hub: MakeHub) -> None:
    hub = make_hub("zot")
    hub.stored()
    hub.server.faults["GET"] = [fault] * 99
    with pytest.raises(RegistryError) as raised:
        list_images(hub.bench.site, hub.bench.site.target("stable"), [])
    if fault == 403:
        assert "does not list its repositories" in raised.value.reason
        assert "the promotion journal contains none either" in raised.value.reason


def test_repositories_of_the_journal_are_listed_without_a_catalog(make_hub: MakeHub) -> None:
    hub = make_hub("docker-hub")
    hub.bench.promote(hub.bench.build())
    listing = list_images(hub.bench.site, hub.bench.site.target("stable"), [])
    assert [(each.nvr, each.tags) for each in listing.images] == [("hello-1.0-1", ("1.0", "1.0-1", "latest"))]


def test_unreachable_registry_is_reported_in_one_line(make_hub: MakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = make_hub("zot")
    with Registry(hub.reached).http(hub.server.address) as http:
        for number in range(40):
            image(Repository(http, f"stable/{number:02}"), "x", "1")
    monkeypatch.setattr("fedpkg_container.registry.promotion.listing.MAX_REPOSITORIES", 1)
    hub.server.faults["tags/list"] = [503] * 999
    hub.server.faults["/v2/$"] = [503] * 999
    listing = list_images(hub.bench.site, hub.bench.site.target("stable"), [])
    assert listing.images == ()
    assert len(listing.errors) < 10
    assert "more repositories were skipped because" in listing.errors[-1]


@pytest.mark.parametrize("name", ["docker-hub", "ghcr"])
def test_mirror_without_a_catalog_names_the_setting(name: str, make_hub: MakeHub) -> None:
    hub = make_hub(name)
    hub.stored()
    summary = mirror(hub.server.address, hub.reached, Options(hub.bench.directory / "tree"))
    (error,) = summary.errors
    assert "does not list its repositories" in error and "[mirror] without wildcards" in error


# unpromote


class _Session:
    """A session whose builds have Koji tags."""

    baseurl = "https://koji.example.org/kojihub"

    def __init__(self) -> None:
        self.removed: list[tuple[str, str]] = []

    def untagBuild(self, tag: str, nvr: str, *, strict: bool) -> None:  # noqa: ARG002
        self.removed.append((tag, nvr))


@pytest.fixture
def koji(monkeypatch: pytest.MonkeyPatch) -> _Session:
    made = _Session()

    @contextlib.contextmanager
    def logged_in(*_: object) -> Iterator[_Session]:
        yield made

    monkeypatch.setattr(hub_session, "logged_in", logged_in)
    monkeypatch.setattr(hub_session, "anonymous_session", lambda _: made)
    monkeypatch.setattr(untagging, "koji_tags", lambda _, nvrs: dict.fromkeys(nvrs, (KOJI_TAG, "f42-other")))
    return made


def withdraw(hub: Hub, **options: Any) -> tuple[int, argparse.Namespace]:
    values = {"to": "stable", "nvr": ["hello-1.0-2"], "delete": False, "untag": False, "dry_run": False, "json": False}
    arguments = argparse.Namespace(**{**values, **options})
    return unpromote.run(arguments, hub.bench.site), arguments


def promoted_twice(hub: Hub) -> None:
    for nvr in ("hello-1.0-1", "hello-1.0-2"):
        assert hub.bench.promote(hub.bench.build(nvr))[0].succeeded


def test_unpromote_notes_that_the_build_comes_back(
    make_hub: MakeHub, koji: _Session, capsys: pytest.CaptureFixture[str]
) -> None:
    hub = make_hub("zot")
    promoted_twice(hub)
    assert withdraw(hub)[0] == 0
    err = capsys.readouterr().err
    assert f"it is still tagged {KOJI_TAG} in Koji, so the next promote --koji-tag promotes it again" in err
    assert f"koji untag-build {KOJI_TAG} hello-1.0-2" in err
    assert koji.removed == []


def test_unpromote_untags(make_hub: MakeHub, koji: _Session, capsys: pytest.CaptureFixture[str]) -> None:
    hub = make_hub("zot")
    promoted_twice(hub)
    assert withdraw(hub, untag=True, dry_run=True)[0] == 0
    assert f"to be untagged in Koji: {KOJI_TAG}" in capsys.readouterr().out
    assert koji.removed == []
    assert withdraw(hub, untag=True)[0] == 0
    out, err = capsys.readouterr()
    assert koji.removed == [(KOJI_TAG, "hello-1.0-2")], "not a tag that the target does not accept"
    assert f"untagged in Koji: {KOJI_TAG}" in out and "promotes it again" not in err


def test_refused_untagging_is_a_failure(
    make_hub: MakeHub, koji: _Session, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hub = make_hub("zot")
    promoted_twice(hub)

    def refuse(*_: object) -> None:
        raise FedpkgContainerError("the hub refused it: policy violation")

    monkeypatch.setattr(untagging, "untag", refuse)
    assert withdraw(hub, untag=True)[0] == 1
    assert "policy violation" in capsys.readouterr().err


def test_unpromote_works_without_koji(
    make_hub: MakeHub, koji: _Session, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hub = make_hub("zot")
    promoted_twice(hub)

    def unreachable(*_: object) -> None:
        raise LostContactError("cannot reach the hub")

    monkeypatch.setattr(untagging, "koji_tags", unreachable)
    with pytest.raises(LostContactError):
        withdraw(hub, untag=True)
    assert hub.server[NAME].manifests["latest"] == hub.server[NAME].manifests["1.0-2"], "nothing was done"
    assert withdraw(hub)[0] == 0
    assert "unless hello-1.0-2 is untagged, the next promote --koji-tag promotes it again" in capsys.readouterr().err


def test_refused_deletion_is_reported(make_hub: MakeHub, koji: _Session, capsys: pytest.CaptureFixture[str]) -> None:
    hub = make_hub("ghcr")
    promoted_twice(hub)
    assert withdraw(hub, delete=True, json=True)[0] == 1
    (result,) = json.loads(capsys.readouterr().out)["images"]
    assert result["deleted"] == []
    assert "deletion is disabled" in result["kept"][result["digest"]]
    assert {each["tag"]: each["what"] for each in result["tags"]} == {"1.0": "set", "1.0-2": "kept", "latest": "set"}
    assert result["state"] == "failed"
    assert withdraw(hub, delete=True)[0] == 1
    out, err = capsys.readouterr()
    assert "hello-1.0-2 in " in out and "not completed" in out and "kept: " in out
    assert "garbage" not in out, "no space is promised"
    assert "promotes it again" in err


def test_partly_refused_deletion_is_reported_and_can_be_completed(make_hub: MakeHub) -> None:
    hub = make_hub("docker-registry-2")
    promoted_twice(hub)
    index = Manifest.read(hub.server[NAME].manifests["1.0-2"])
    member = index.manifests[0].digest
    hub.server.faults[f"DELETE .*{member}"] = [405]
    (result,) = hub.bench.unpromote("hello-1.0-2", delete=True)
    assert "1 of " in result.error and "were not deleted" in result.error
    assert list(result.kept) == [member] and member not in result.deleted and index.digest in result.deleted
    assert member in hub.server[NAME].manifests
    (result,) = hub.bench.unpromote("hello-1.0-2", delete=True)
    assert result.succeeded and member in result.deleted
    assert member not in hub.server[NAME].manifests


# Several processes


def test_two_promotions_at_once_record_a_build_once(make_hub: MakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = make_hub("zot")
    candidate = hub.bench.build()
    both, check = threading.Barrier(2), Promoter._check_accepted
    journal = Journal(hub.bench.site.journal)

    def meet(self: Promoter, *arguments: Any) -> None:
        check(self, *arguments)
        both.wait(PATIENCE)

    monkeypatch.setattr(Promoter, "_check_accepted", meet)
    results: list[Any] = []
    threads = [threading.Thread(target=lambda: results.extend(hub.bench.promote(candidate))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert [result.succeeded for result in results] == [True, True]
    assert [entry.state for entry in journal.entries()] == ["begun", "done"]


def test_lock_conflict_has_its_own_status(make_hub: MakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = make_hub("zot")
    candidate = hub.bench.build()
    monkeypatch.setattr(locks, "TIMEOUT", 0.05)
    with Journal(hub.bench.site.journal).locks.hold(str(hub.bench.place(candidate))):
        (result,) = hub.bench.promote(candidate)
    assert "another process has held the lock" in result.error
    assert status([result]) == 8
    assert status([result, replace(result, exit_code=1)]) == 1
    (result,) = hub.bench.promote(candidate)
    assert status([result]) == 0


# Content of all kinds


def test_content_of_all_kinds_is_promoted_as_it_is(make_hub: MakeHub) -> None:
    hub = make_hub("zot")
    with hub.bench.http(hub.bench.site.candidates.registry) as http:
        source = stored(Repository(http, "kinds"))

        def blob(content: bytes, media_type: str) -> dict[str, object]:
            return {"mediaType": media_type, "digest": source.push(content), "size": len(content)}

        def put(**fields: object) -> Manifest:
            manifest = Manifest.of({"schemaVersion": 2, **fields})
            source.put_manifest(manifest.digest, manifest)
            return manifest

        config = blob(b'{"architecture": "amd64", "os": "linux"}', "application/vnd.oci.image.config.v1+json")
        foreign = {
            "mediaType": FOREIGN,
            "digest": digest_of(b"elsewhere"),
            "size": 9,
            "urls": ["https://example.org/x"],
        }
        zstd = blob(b"\x28\xb5\x2f\xfd", "application/vnd.oci.image.layer.v1.tar+zstd")
        plain = put(mediaType=OCI_MANIFEST, config=config, layers=[zstd, foreign])
        statement = blob(b"{}", "application/vnd.in-toto+json")
        unknown = blob(b'{"architecture": "unknown", "os": "unknown"}', str(config["mediaType"]))
        attestation = put(mediaType=OCI_MANIFEST, config=unknown, layers=[statement])
        inner = put(mediaType=OCI_INDEX, manifests=[plain.descriptor])
        platform = {"architecture": "unknown", "os": "unknown"}
        outer = put(mediaType=OCI_INDEX, manifests=[{**attestation.descriptor, "platform": platform}, inner.descriptor])
        old = put(
            mediaType=ARTIFACT_MANIFEST, artifactType="application/x", blobs=[blob(b"file", "text/plain")],
            subject=outer.descriptor,
        )  # fmt: skip
        index = Manifest.of({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [old.descriptor]})
        source.put_manifest(outer.digest.replace(":", "-"), index)
    candidate = hub.bench.build("kinds-1-1", "kinds", artifacts=False)
    candidate = replace(candidate, image=replace(candidate.image, digest=outer.digest))
    (result,) = hub.bench.promote(candidate)
    assert (result.error, list(result.warnings)) == ("", [])
    held = hub.server["stable/kinds"]
    for manifest in (plain, attestation, inner, outer, old):
        assert held.manifests[manifest.digest] == manifest.raw
    assert held.blobs[digest_of(b"file")] == b"file"
    assert digest_of(b"elsewhere") not in held.blobs
    assert hub.bench.promote(candidate)[0].state == "unchanged"


def test_rejected_artifacts_are_warnings(make_hub: MakeHub) -> None:
    hub = make_hub("zot", rejects=(OCI_MANIFEST,))
    candidate = hub.bench.build()
    (result,) = hub.bench.promote(candidate)
    assert (result.state, result.error) == ("promoted", "")
    assert len(result.warnings) == 4, "two SBOMs, a signature, and one of it"
    assert all("rejected" in each and "allow its media type" in each for each in result.warnings)
    (result,) = hub.bench.promote(candidate)
    assert result.state == "unchanged" and len(result.warnings) == 4


def test_registry_that_takes_tags_for_digests_is_named(make_hub: MakeHub) -> None:
    hub = make_hub("gitlab")
    candidate = hub.bench.build()
    (result,) = hub.bench.promote(candidate)
    assert result.succeeded
    assert any("cannot list the referrers of" in each for each in result.warnings)
    assert not any("delete" in each for each in result.warnings)


def test_members_of_an_index_are_not_taken_for_referrers(make_hub: MakeHub) -> None:
    hub = make_hub("gitlab")
    with Registry(hub.reached).http(hub.server.address) as http:
        repository = Repository(http, "hello")
        listed = index(repository, image(repository, "one"), tags=["1-1"])
        assert repository.head(referrers.fallback_tag(listed.digest)) == listed.digest
        assert referrers.list_referrers(repository, listed.digest).artifacts == ()
        hub.server.seen.clear()
        assert not referrers.add_referrers(repository, listed.digest, [listed.descriptor])
        assert not hub.server.asked("PUT")


def test_no_floating_tags(make_hub: MakeHub) -> None:
    hub = make_hub("immutable-412")
    targets = {name: replace(target, floating=()) for name, target in hub.bench.site.targets.items()}
    bench = replace(hub.bench, site=replace(hub.bench.site, targets=targets))
    for nvr in ("hello-1.0-1", "hello-1.0-2"):
        candidate = bench.build(nvr)
        assert bench.promote(candidate)[0].state == "promoted"
        assert bench.promote(candidate)[0].state == "unchanged"
    assert set(bench.tags(candidate)) == {"1.0-1", "1.0-2"}


# Waiting


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_retry_after_longer_than_the_patience_fails_at_once_with_the_time(method: str, make_hub: MakeHub) -> None:
    hub = make_hub("zot")
    digest = hub.stored()
    hub.server.faults[f"{method} .*/manifests/"] = [Fault(429, {"Retry-After": "90"})] * 9
    with Registry(replace(hub.reached, retry_timeout=30.0)).http(hub.server.address) as http:
        repository = Repository(http, NAME)
        with pytest.raises(RegistryUnavailableError, match="Retry-After: 90 s") as raised:
            repository.head(digest) if method == "HEAD" else repository.manifest(digest)
    assert "run it again after 20" in raised.value.solution and "UTC" in raised.value.solution
    assert hub.server.asked(f"{method} .*/manifests/") == 1


def test_throttled_target_is_not_taken_for_an_empty_one(make_hub: MakeHub) -> None:
    hub = make_hub("zot")
    candidate = hub.bench.build()
    assert hub.bench.promote(candidate)[0].succeeded
    hub.server.seen.clear()
    hub.server.faults["HEAD .*/manifests/sha256"] = [Fault(429, {"Retry-After": "900"})] * 99
    (result,) = hub.bench.promote(candidate)
    assert "Retry-After: 900 s" in result.error
    assert not hub.server.asked("PUT|POST")
