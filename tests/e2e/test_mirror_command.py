# SPDX-License-Identifier: GPL-2.0-or-later
"""``fedpkg-container-registry mirror`` as used by people and programs."""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pexpect
import pytest

from fedpkg_container.commands.registry.mirror import add_arguments
from fedpkg_container.registry.digests import digest_of
from fedpkg_container.registry.manifests import OCI_INDEX, OCI_MANIFEST, Manifest
from fedpkg_container.registry.mirror.options import DAY
from fedpkg_container.registry.promotion.journal import Journal
from fedpkg_container.registry.referrers import Artifact, attach
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.skopeo import Registry
from tests.support.memory_registry import memory_registry
from tests.support.mirrored import Clock, Mirrored, begun, mirrored, promoted
from tests.support.registries import PASSWORD, access
from tests.support.storage import Storage
from tests.support.waiting import PATIENCE


@pytest.fixture
def it(tmp_path: Path) -> Iterator[Mirrored]:
    with mirrored(tmp_path) as found:
        found.site()
        yield found


def layer(name: str) -> bytes:
    """A layer with one file."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.addfile(tarfile.TarInfo(name))
    return gzip.compress(packed.getvalue(), mtime=0)


def zstd_frame(content: bytes) -> bytes:
    """A frame of zstd with one uncompressed block (RFC 8878), for 256 bytes to 64 KiB."""
    size, block = (len(content) - 256).to_bytes(2, "little"), ((len(content) << 3) | 1).to_bytes(3, "little")
    return b"\x28\xb5\x2f\xfd\x60" + size + block + content


def test_text_output(it: Mirrored) -> None:
    it.storage.image("fedora/hello", "1-1", "latest", layers=[b"one", b"two"])
    said = it.call("--dry-run")
    assert said.startswith(f"dry run, nothing was changed: {it.tree}: 3 new blobs (")
    assert not it.tree.exists()
    said = it.call()
    assert said.startswith(f"{it.tree}: 3 new blobs (") and "1 repository, 2 tags (2 queried), 1 manifest;" in said
    assert "\x1b" not in said  # no bar, since this is not a terminal
    assert "0 new blobs, 3 present\n" in it.call()
    other = it.directory / "elsewhere"
    assert "3 new blobs" in it.call(str(other), "--repository", "fedora/*", "--rate", "10M", "--parallel", "2")
    assert other.is_dir()


def test_json_report(it: Mirrored) -> None:
    image = it.storage.image("hello", "1-1", layers=[b"one", b"two"])
    report = it.report()
    seconds = report.pop("seconds")
    assert seconds > 0
    size = sum(blob.size for blob in image.blobs)
    assert report == {
        "version": 2,
        "dry_run": False,
        "repositories": 1,
        "tags": 1,
        "tags_queried": 1,
        "manifests": 1,
        "blobs": {"present": 0, "new": 3, "linked": 0, "deleted": 0, "waiting": 0, "foreign": 0, "repaired": 0},
        "archives": 0,
        "bytes": size,
        "requests": 8,
        "interrupted": "",
        "notes": [],
        "errors": [],
    }
    it.storage.change_byte(image.blobs[1].digest)
    it.blob("hello", image.blobs[1].digest).unlink()
    report = it.report("--verify", status=1)
    assert len(report["errors"]) == 1 and report["blobs"]["present"] == 2


def test_progress_bar_on_a_terminal(it: Mirrored) -> None:
    it.storage.image("hello", "1-1", layers=[os.urandom(2 << 20)])
    it.site("rate = 1M\n")
    program, *arguments = it.command()
    child = pexpect.spawn(program, arguments, encoding="utf-8", dimensions=(24, 80), timeout=PATIENCE)
    child.expect(r"blobs [^\r\n]*1/2[^\r\n]*/2\.1 MB[^\r\n]* [a-zA-Z]+/s")
    child.expect("2 new blobs")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


@pytest.mark.parametrize(
    "arguments",
    [("--parallel", "0"), ("--grace", "-1"), ("--rate", "fast"), ("--from", "nowhere")],
)
def test_invalid_values(it: Mirrored, arguments: tuple[str, ...]) -> None:
    said = it.call(*arguments, status=2)
    assert "error: " in said and "Traceback" not in said
    assert not it.tree.exists()


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_output_directory_is_a_file(it: Mirrored, more: tuple[str, ...]) -> None:
    it.tree.write_text("mine")
    assert f"error: {it.tree} is not a directory" in it.call(*more, status=2)
    assert it.tree.read_text() == "mine"


def test_empty_output_directory(it: Mirrored) -> None:
    assert "argument DIR: must be a directory" in it.call("", status=2)


def test_patterns_without_match(it: Mirrored) -> None:
    it.storage.image("fedora/hello", "1-1")
    said = it.call("--repository", "fedora/x*", "--repository", "other", status=1)
    assert f"error: no repository of {it.host} matches fedora/x* other; it has 1" in said


def test_every_option_is_documented() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    text = (Path(__file__).parents[2] / "docs/howto/mirror.md").read_text()
    options = [
        option for action in parser._actions for option in action.option_strings if option not in ("-h", "--help")
    ]
    assert len(options) > 10
    assert [option for option in options if f"`{option}" not in text] == []


def test_journal_saves_requests(it: Mirrored) -> None:
    record = it.directory / "record"
    it.site(f"[promotion]\nrecord = {record}\n")
    for name in ("a", "b"):
        it.storage.image(name, "1-1", layers=[name.encode()])
    assert it.report()["tags_queried"] == 2  # there is no record yet
    promoted(record, f"{it.host}/b")
    promoted(record, "hub.example.org/somebody/else")
    it.storage.image("b", "2-1", layers=[b"newer"])
    it.storage.image("a", "2-1", layers=[b"not recorded"])
    report = it.report()
    assert (report["tags_queried"], report["blobs"]["new"]) == (2, 2)
    report = it.report()
    assert (report["requests"], report["blobs"]["present"]) == (0, 6)
    report = it.report("--full")
    assert (report["tags_queried"], report["blobs"]["new"]) == (4, 2)


def test_unfinished_promotion_is_queried_until_repeated(it: Mirrored) -> None:
    record = it.directory / "record"
    it.storage.image("a", "1-1", layers=[b"a"])
    it.run(journal=record)
    entry = begun(record, f"{it.host}/a")
    assert it.run(journal=record).queried == 1
    it.storage.image("a", "2-1", layers=[b"set after the mirror looked, and then it was killed"])
    assert it.run(journal=record).new == 2
    assert it.run(journal=record).queried == 2
    Journal(record).append(entry.done())
    assert it.run(journal=record).queried == 2
    assert it.run(journal=record).queried == 0


def test_everything_is_queried_once_a_day(it: Mirrored) -> None:
    record, clock = it.directory / "record", Clock()
    record.write_text("")
    it.storage.image("a", "1-1", layers=[b"a"])
    it.run(journal=record, now=clock)
    it.storage.image("a", "2-1", layers=[b"not recorded"])
    clock.passes(DAY - 1)
    assert it.run(journal=record, now=clock).requests == 0
    clock.passes(1)
    assert it.run(journal=record, now=clock).new == 2


def test_archives(it: Mirrored) -> None:
    clock = Clock()
    members = [
        (arch, it.storage.image("fedora/hello", layers=[layer(arch)], arch=arch))
        for arch in ("amd64", "arm64", "s390x")
    ]
    it.storage.images("fedora/hello", "1.0-3.fc41", "1.0", "latest", members=members)
    it.storage.image("plain", "2-1", layers=[layer("plain")])
    summary = it.run(archives=True, now=clock)
    assert (summary.errors, summary.archives) == ([], 4)
    files = sorted(str(path.relative_to(it.tree)) for path in (it.tree / "archives").rglob("*") if path.is_file())
    assert files == sorted(
        f"archives/{name}.docker.tar.gz{end}"
        for name in [
            *(f"fedora/hello/hello-1.0-3.fc41.{arch}" for arch in ("x86_64", "aarch64", "s390x")),
            "plain/plain-2-1.x86_64",
        ]
        for end in ("", ".sha256")
    )  # fmt: skip
    archive = it.tree / "archives/fedora/hello/hello-1.0-3.fc41.aarch64.docker.tar.gz"
    subprocess.run(["sha256sum", "--check", "--strict", f"{archive.name}.sha256"], cwd=archive.parent, check=True)
    with tarfile.open(archive) as tar:
        facts = json.loads(tar.extractfile("manifest.json").read())[0]  # type: ignore[union-attr]
    assert facts["RepoTags"] == [f"{it.host}/fedora/hello:1.0-3.fc41"]
    assert f"{archive.relative_to(it.tree)}\n" in (it.tree / "fullfiletimelist-tree").read_text()
    before = archive.stat()
    archive.with_name("hello-1.0-3.fc41.x86_64.docker.tar.gz").unlink()
    assert it.run(archives=True, now=clock).archives == 1
    assert archive.stat() == before  # only what is missing is made
    it.storage.untag("fedora/hello", "1.0-3.fc41")
    assert it.run(now=clock, grace=0).deleted == 0  # not a run that knows of archives
    assert it.run(archives=True, now=clock).waiting == 3
    clock.passes(7 * DAY)
    assert it.run(archives=True, now=clock).deleted == 3
    assert not (it.tree / "archives/fedora").exists()


def test_archive_of_a_replaced_image_is_recreated(it: Mirrored) -> None:
    it.storage.image("plain", "2-1", layers=[layer("one")])
    assert it.run(archives=True).archives == 1
    archive = it.tree / "archives/plain/plain-2-1.x86_64.docker.tar.gz"
    before = hashlib.sha256(archive.read_bytes()).hexdigest()
    it.storage.image("plain", "2-1", layers=[layer("two")])
    assert it.run(archives=True).archives == 1
    assert hashlib.sha256(archive.read_bytes()).hexdigest() != before


def test_archives_of_one_image_in_several_repositories(it: Mirrored) -> None:
    for repository in ("f41/hello", "f42/hello", "hello"):
        it.storage.image(repository, "2-1", layers=[layer("same")])
    summary = it.run(archives=True, name="registry.example.org")
    assert (summary.errors, summary.archives) == ([], 3)
    for checksum in (it.tree / "archives").rglob("*.sha256"):
        subprocess.run(["sha256sum", "--check", "--strict", checksum.name], cwd=checksum.parent, check=True)
        with tarfile.open(checksum.with_suffix("")) as tar:
            facts = json.loads(tar.extractfile("manifest.json").read())[0]  # type: ignore[union-attr]
        repository = f"registry.example.org/{checksum.parent.relative_to(it.tree / 'archives')}"
        assert facts["RepoTags"] == [f"{repository}:2-1"]
        assert checksum.read_text().startswith(f"# {repository}@sha256:")
    assert not [path for path in it.tree.rglob(".*") if path.name != ".mirror"]


def damage_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_verification_of_archives(it: Mirrored) -> None:
    it.site()
    for name in "abcdef":
        it.storage.image(name, "1-1", layers=[layer(name)])
    it.run(archives=True)
    archives = {name: it.tree / f"archives/{name}/{name}-1-1.x86_64.docker.tar.gz" for name in "abcdef"}
    checksums = {name: path.with_name(f"{path.name}.sha256") for name, path in archives.items()}
    right = {path: path.read_bytes() for path in (*archives.values(), *checksums.values())}
    untouched = archives["f"].stat()
    damage_byte(archives["a"])
    archives["b"].write_bytes(b"")
    checksums["e"].write_text(checksums["e"].read_text().replace("  e-1-1", "  a-1-1"))
    assert it.run(archives=True).archives == 0  # existing archives are not read
    checksums["c"].unlink()
    checksums["d"].write_bytes(b"\xff\n")
    damaged = {path: path.read_bytes() for path in right if path.exists()}
    for more in ((), ("--archives",)):
        report = it.report("--verify", "--dry-run", *more)
        assert (report["blobs"]["repaired"], report["archives"]) == (5, 5 if more else 0)
        assert {path: path.read_bytes() for path in right if path.exists()} == damaged
    report = it.report("--verify", "--archives")
    assert (report["blobs"]["repaired"], report["archives"], report["errors"]) == (5, 5, [])
    assert {path: path.read_bytes() for path in right} == right
    assert archives["f"].stat() == untouched
    report = it.report("--verify", "--archives")
    assert (report["blobs"]["repaired"], report["archives"]) == (0, 0)


def test_verification_without_archives_removes_damaged_archives(it: Mirrored) -> None:
    it.storage.image("a", "1-1", layers=[layer("a")])
    it.storage.image("b", "1-1", layers=[layer("b")])
    it.run(archives=True)
    damage_byte(it.tree / "archives/a/a-1-1.x86_64.docker.tar.gz")
    (it.tree / "archives/b/directory.docker.tar.gz").mkdir()
    (it.tree / "archives/b/README").write_text("mine")
    summary = it.run(verify=True)
    assert (summary.repaired, summary.archives, summary.errors) == (1, 0, [])
    assert sorted(path.name for path in (it.tree / "archives").rglob("*") if path.is_file()) == [
        "README", "b-1-1.x86_64.docker.tar.gz", "b-1-1.x86_64.docker.tar.gz.sha256",
    ]  # fmt: skip
    assert it.run(archives=True).archives == 1


def several(it: Mirrored, tag: str, *platforms: str) -> dict[str, str]:
    """A list of images, one for each platform; platform → digest."""
    found = {}
    for platform in platforms:
        arch, _, variant = platform.partition("/")
        found[platform] = it.storage.image("hello", layers=[layer(platform)], arch=arch, variant=variant)
    it.storage.images("hello", tag, members=list(found.items()))
    return {platform: image.digest for platform, image in found.items()}


def archived(it: Mirrored) -> dict[str, str]:
    """The images in the archives of ``hello``, whose checksums must be right: name → digest."""
    found = {}
    for path in (it.tree / "archives/hello").glob("*.sha256"):
        subprocess.run(["sha256sum", "--check", "--strict", "--quiet", path.name], cwd=path.parent, check=True)
        image = path.read_text().partition("\n")[0].rpartition("@")[2]
        with tarfile.open(path.with_suffix("")) as tar:
            facts = json.loads(tar.extractfile("manifest.json").read())[0]  # type: ignore[union-attr]
            config = json.loads(tar.extractfile(facts["Config"]).read())  # type: ignore[union-attr]
        manifest = json.loads(it.storage.data(image).read_bytes())
        assert config == json.loads(it.storage.data(manifest["config"]["digest"]).read_bytes())
        found[path.name.replace(".docker.tar.gz.sha256", "")] = image
    return found


def test_archives_of_architecture_variants(it: Mirrored) -> None:
    images = several(it, "1-1", "arm/v6", "arm/v7", "amd64/v3", "amd64", "arm64/v8", "s390x")
    single = several(it, "2-1", "arm/v6", "amd64/v3", "arm64")
    neither = several(it, "3-1", "arm/v6", "arm/v5", "arm64/v8", "arm64", "amd64/../v3", "amd64")
    expected = {
        "hello-1-1.armhfp": images["arm/v7"],
        "hello-1-1.armhfp-v6": images["arm/v6"],
        "hello-1-1.x86_64": images["amd64"],
        "hello-1-1.x86_64-v3": images["amd64/v3"],
        "hello-1-1.aarch64": images["arm64/v8"],
        "hello-1-1.s390x": images["s390x"],
        "hello-2-1.armhfp": single["arm/v6"],
        "hello-2-1.x86_64": single["amd64/v3"],
        "hello-2-1.aarch64": single["arm64"],
        "hello-3-1.armhfp": neither["arm/v6"],
        "hello-3-1.armhfp-v5": neither["arm/v5"],
        "hello-3-1.aarch64": neither["arm64"],
        "hello-3-1.aarch64-v8": neither["arm64/v8"],
        "hello-3-1.x86_64": neither["amd64/../v3"],  # the first of those with the same metadata
    }
    summary = it.run(archives=True)
    assert (summary.errors, summary.archives, archived(it)) == ([], len(expected), expected)
    summary = it.run(archives=True)
    assert (summary.errors, summary.archives, archived(it)) == ([], 0, expected)


def test_archive_is_not_renamed_while_its_index_is_in_doubt(it: Mirrored) -> None:
    images = several(it, "1-1", "arm/v6", "arm/v7", "amd64")
    it.run(archives=True)
    before = archived(it)
    config = json.loads(it.storage.data(images["arm/v7"]).read_bytes())["config"]["digest"]
    kept = it.storage.data(config).read_bytes()
    it.blob("hello", config).unlink()
    it.storage.change_byte(config)
    assert it.run(archives=True, grace=0).errors
    it.storage.data(config).write_bytes(kept)
    assert archived(it) == before
    summary = it.run(archives=True, grace=0)
    assert (summary.errors, summary.archives, archived(it)) == ([], 0, before)


def test_archives_of_other_images(it: Mirrored) -> None:
    """Images that a docker-archive cannot hold, and an artifact that is not an image."""
    unpacked = gzip.decompress(layer("file"))
    zstd = {
        **it.storage.blob("hello", zstd_frame(unpacked)),
        "mediaType": "application/vnd.oci.image.layer.v1.tar+zstd",
    }
    facts = {"architecture": "amd64", "os": "linux", "config": {},
             "rootfs": {"type": "layers", "diff_ids": [digest_of(unpacked)]}}  # fmt: skip
    config_type = "application/vnd.oci.image.config.v1+json"
    config = it.storage.blob("hello", json.dumps(facts).encode(), config_type)
    image = Manifest.of({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [zstd]})
    it.storage.manifest("hello", image)
    unknown = it.storage.blob("hello", b'{"architecture": "unknown", "os": "unknown"}', config_type)
    statement = it.storage.blob("hello", b"{}", "application/vnd.in-toto+json")
    attestation = Manifest.of({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": unknown, "layers": [statement]})
    it.storage.manifest("hello", attestation)
    inner = Manifest.of({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [image.descriptor]})
    it.storage.manifest("hello", inner)
    members = [attestation.descriptor, inner.descriptor]
    outer = Manifest.of({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": members})
    it.storage.manifest("hello", outer, "1-1")
    chart = it.storage.blob("hello", b"{}", "application/vnd.cncf.helm.config.v1+json")
    artifact = Manifest.of({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": chart, "layers": []})
    it.storage.manifest("hello", artifact, "2-1")
    summary = it.run(archives=True)
    assert (summary.errors, summary.archives) == ([], 1)
    assert sorted(summary.notes) == [
        "hello:2-1 is not an image; it has no archive",
        f"hello@{attestation.digest} of 1-1 is an attestation; it has no archive",
    ]
    (archive,) = it.tree.glob("archives/**/*.oci.tar")
    assert archive.name == "hello-1-1.x86_64.oci.tar"
    subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", f"{archive.name}.sha256"], cwd=archive.parent, check=True
    )
    with tarfile.open(archive) as tar:
        names = set(tar.getnames())
    assert {f"blobs/sha256/{each.partition(':')[2]}" for each in (image.digest, str(zstd["digest"]))} <= names
    assert it.run(archives=True, verify=True).archives == 0
    it.storage.untag("hello", "1-1")
    assert it.run(archives=True, grace=0).deleted
    assert not list(it.tree.glob("archives/**/*.oci.tar*"))


def test_failing_archives(it: Mirrored) -> None:
    it.storage.image("plain", "1-1", layers=[layer("plain")])
    it.storage.image("good", "2-1", layers=[layer("good")])
    assert it.run(archives=True).archives == 2
    it.storage.image("plain", "0-1", arch="../x")
    it.storage.image("plain", "2-1", arch="s390x")
    it.storage.image(100 * "x", 100 * "1" + "-1")
    summary = it.run(archives=True, grace=0)
    assert sorted(error[:5] for error in summary.errors) == ["plain", "xxxxx"]
    assert (summary.archives, summary.deleted) == (1, 0)  # of a repository that is in doubt nothing is deleted
    it.storage.untag("good", "2-1")
    assert it.run(archives=True, grace=0).deleted == 1 + 2
    assert not [path for path in (it.tree / ".mirror/partial").iterdir() if not path.name.startswith("sha256:")]


def test_registry_with_referrers_api(tmp_path: Path) -> None:
    sbom = Artifact("application/spdx+json", "x.json", b'{"spdxVersion": "SPDX-2.3"}', "2026-01-02T03:04:05Z")
    later = Artifact("application/spdx+json", "y.json", b'{"spdxVersion": "SPDX-2.4"}', "2026-01-02T03:04:05Z")
    with memory_registry(tmp_path) as registry:
        reached = access(tmp_path, registry.address, password=PASSWORD)
        it = Mirrored(tmp_path, registry.address, reached)
        image = Storage(tmp_path / "aside").image("hello", layers=[b"one"])
        with Registry(reached).http(registry.address) as http:
            repository = Repository(http, "hello")
            for blob in image.blobs:
                repository.push(Storage(tmp_path / "aside").data(blob.digest).read_bytes())
            repository.put_manifest(image.digest, image)
            repository.put_manifest("1-1", image)
            attach(repository, image.digest, sbom)
            clock = Clock()
            assert it.run(repositories=("hello",), now=clock).errors == []
            assert sbom.content in {path.read_bytes() for path in it.tree.rglob("sha256:*")}
            registry.seen.clear()
            assert it.run(repositories=("hello",), now=clock).errors == []
            assert not [path for _, path, _ in registry.seen if "/referrers/" in path]
            attach(repository, image.digest, later)
            assert it.run(repositories=("hello",), now=clock).new == 0
            clock.passes(DAY)
            assert it.run(repositories=("hello",), now=clock).new == 1
            attach(repository, image.digest, replace(later, content=b"another"))
            assert it.run(repositories=("hello",), now=clock).new == 0
            assert it.run(repositories=("hello",), now=clock, full=True).new == 1
