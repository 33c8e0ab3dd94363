# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs of the catalog: what is read and written again, deleted, and kept after failures."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedpkg_container.errors import FedpkgContainerError, RegistryError, UsageError
from fedpkg_container.registry.catalog import promotions
from fedpkg_container.registry.catalog.run import FULL_INTERVAL
from fedpkg_container.registry.catalog.views import image_path, repository_path
from fedpkg_container.registry.mirror.lock import locked
from fedpkg_container.registry.progress import Progress
from fedpkg_container.registry.promotion.journal_entry import JournalEntry
from tests.support.cataloged import Cataloged, cataloged, check_pages, labels_of, spdx, two_builds


@pytest.fixture
def it(tmp_path: Path) -> Iterator[Cataloged]:
    with cataloged(tmp_path) as found:
        yield found


def test_nothing_is_read_or_written_again(it: Cataloged) -> None:
    two_builds(it)
    assert it.memory
    it.update(journal=True)
    times = {path: path.stat().st_mtime_ns for path in it.site.rglob("*.html")}
    it.memory.seen.clear()
    summary = it.update(journal=True)
    assert (summary.queried, summary.fetched, summary.written) == (0, 0, 0)
    assert it.memory.seen == []
    assert {path: path.stat().st_mtime_ns for path in it.site.rglob("*.html")} == times


def test_the_journal_is_not_parsed_again(it: Cataloged, monkeypatch: pytest.MonkeyPatch) -> None:
    for build in range(3):
        digest = it.push("f42/httpd", f"2.4-{build}", labels=labels_of("httpd-container", "2.4", str(build)))
        it.promoted("f42/httpd", f"httpd-container-2.4-{build}", digest, "2.4")
    it.update(journal=True)
    parsed: list[bytes] = []
    read = JournalEntry.read
    monkeypatch.setattr(JournalEntry, "read", lambda line: parsed.append(line) or read(line))  # type: ignore[func-returns-value]
    monkeypatch.setattr(promotions, "MAX_FEED", 1)
    it.update(journal=True)
    assert len(parsed) == 1, "only the entries in the feed"


def test_without_a_journal_only_tags_are_read_again(it: Cataloged) -> None:
    two_builds(it)
    assert it.memory
    it.update()
    it.memory.seen.clear()
    summary = it.update()
    assert (summary.queried, summary.fetched, summary.written) == (1, 0, 0)
    assert {method for method, path, _ in it.memory.seen if "manifests" in path} == {"HEAD"}
    assert it.memory.asked("blobs|referrers") == 0


def test_the_journal_names_what_changed(it: Cataloged) -> None:
    two_builds(it)
    it.push("other", "1", labels={})
    assert it.memory
    it.update(journal=True)
    it.push("other", "2", labels={"summary": "two"})
    third = it.push("f42/httpd", "2.4-11", labels=labels_of("httpd-container", "2.4", "11"))
    assert it.update(journal=True).queried == 0
    it.promoted("f42/httpd", "httpd-container-2.4-11", third, "2.4")
    it.memory.seen.clear()
    summary = it.update(journal=True)
    assert (summary.queried, summary.fetched) == (1, 1)
    assert it.memory.asked("/v2/other/") == 0
    assert "httpd-container-2.4-11" in it.repository_page("f42/httpd").text
    it.time += FULL_INTERVAL
    assert it.update(journal=True).fetched == 1, "changes made without promote are found within a day"
    assert it.update(journal=True, full=True).queried == 2


def test_new_signatures_of_known_images_are_found(it: Cataloged) -> None:
    values = {"labels": labels_of("hello", "1"), "sbom": spdx([("bash", "1")])}
    digest = it.push("hello", "1", **values)
    it.update()
    assert "0 signatures" in it.image_page("hello", digest).text
    assert it.push("hello", "1", signed=True, **values) == digest
    it.update()
    assert "0 signatures" in it.image_page("hello", digest).text
    it.time += FULL_INTERVAL
    it.update()
    assert "1 signature," in it.image_page("hello", digest).text


def test_pages_of_what_is_gone_are_deleted(it: Cataloged) -> None:
    first, second = two_builds(it)
    gone = it.push("gone/image", "1", labels={}, sbom=spdx([("zlib", "1")]))
    (it.site / "packages").mkdir(parents=True)
    it.site.joinpath("packages").rmdir()
    it.update()
    own = it.site / "packages" / "notes.txt"
    own.write_text("not ours")
    assert {repository_path("gone/image"), image_path("gone/image", gone), "packages/z.html"} <= it.files()
    assert it.memory
    del it.memory.repositories["gone/image"], it.memory["f42/httpd"].manifests["2.4-9"]
    it.update()
    assert not [path for path in it.files() if "gone" in path or "/z.html" in path]
    assert image_path("f42/httpd", first) not in it.files() and image_path("f42/httpd", second) in it.files()
    assert not (it.site / "repositories" / "gone~image").exists()
    assert own.read_text() == "not ours"
    assert len(list((it.site / ".catalog" / "packages").iterdir())) == 1
    check_pages(it)


def test_a_repository_that_cannot_be_read_keeps_its_pages(it: Cataloged) -> None:
    two_builds(it)
    it.push("other", "1", labels={})
    it.update()
    files = it.files()
    it.push("other", "2", labels=labels_of("other", "2"))
    assert it.memory
    it.memory.faults["/v2/f42/httpd/tags"] = [403]
    summary = it.update()
    assert len(summary.errors) == 1 and summary.errors[0].startswith("f42/httpd: ")
    assert files < it.files()
    assert "other-2-1" in it.repository_page("other").text


def test_an_unavailable_registry_is_reported_once(it: Cataloged) -> None:
    for number in range(40):
        it.push(f"image-{number}", "1", labels={}, arches=())
    assert it.memory
    it.memory.faults["tags/list|/v2/$"] = [503] * 1000
    errors = it.update().errors
    assert re.fullmatch("[0-9]+ more repositories were skipped because the registry is unavailable", errors[-1])
    assert len(errors) < 30


def test_interrupted_run_continues(it: Cataloged) -> None:
    class Interrupting(Progress):
        done = 0

        def advanced(self) -> None:
            self.done += 1
            if self.done == 3:
                raise KeyboardInterrupt

    for number in range(12):
        it.push(f"image-{number}", "1", labels={"summary": str(number)}, arches=("amd64",))
    with pytest.raises(KeyboardInterrupt):
        it.update(progress=Interrupting())
    assert "index.html" not in it.files()
    summary = it.update()
    assert (summary.repositories, summary.queried) == (12, 12)
    assert summary.fetched == 10


def test_an_unreadable_registry_changes_nothing(it: Cataloged) -> None:
    two_builds(it)
    it.update()
    before = it.page().path.read_bytes()
    assert it.memory
    it.memory.faults["_catalog"] = [503]
    with pytest.raises(RegistryError):
        it.update()
    it.memory.repositories.clear()
    with pytest.raises(RegistryError, match="lists no repositories"):
        it.update()
    assert it.page().path.read_bytes() == before


def test_registry_without_catalog_shows_what_was_promoted(it: Cataloged) -> None:
    _, second = two_builds(it)
    it.push("other", "1", labels={})
    it.promoted("f42/httpd", "httpd-container-2.4-10", second, "2.4")
    assert it.memory
    it.memory.faults["_catalog"] = [404]
    assert it.update(journal=True).repositories == 1


def test_prefix_and_staging(it: Cataloged) -> None:
    for name in ("fedora/hello", "fedorax/hello", "staging/1"):
        it.push(name, "1", labels={})
    it.prefix = "fedora"
    assert it.update().repositories == 1
    it.prefix = ""
    assert it.update().repositories == 2
    assert not [path for path in it.files() if "staging" in path]


def test_directories_that_are_refused(it: Cataloged, tmp_path: Path) -> None:
    it.push("hello", "1", labels={})
    for path, reason in ((tmp_path, "is not empty, and not a catalog"), (tmp_path / "file", "is not a directory")):
        (tmp_path / "file").touch()
        with pytest.raises(UsageError, match=reason):
            it.update(directory=path)
    it.update()
    with locked(it.site / ".catalog" / "lock", it.site), pytest.raises(FedpkgContainerError, match="is locked by"):
        it.update()


def test_permissions_do_not_depend_on_the_umask(it: Cataloged) -> None:
    two_builds(it)
    umask = os.umask(0o077)
    try:
        it.update()
    finally:
        os.umask(umask)
    for path in it.site.rglob("*"):
        private = ".catalog" in path.relative_to(it.site).parts
        if not private:
            assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644), path
    assert it.site.stat().st_mode & 0o777 == 0o755
    assert (it.site / ".catalog").stat().st_mode & 0o777 == 0o700


def test_damaged_state_and_pages_are_made_again(it: Cataloged) -> None:
    two_builds(it)
    it.update()
    content = it.page().path.read_bytes()
    state = it.site / ".catalog" / "state.json"
    for damage in ("", '{"format": 1, "images": {"a": {"b": {}}}}'):
        state.write_text(damage)
        assert it.update().fetched == 2
    page = next((it.site / "repositories").rglob("sha256-*.html"))
    page.write_text("")
    it.update(full=True)
    assert page.read_text()
    assert it.page().path.read_bytes() == content
