# SPDX-License-Identifier: GPL-2.0-or-later
"""Layers lose what overlay leaves in them, and nothing else: for any archive that tar can hold."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import string
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedpkg_container.engines.exported import Exported
from fedpkg_container.engines.inside import export, tar
from fedpkg_container.engines.sandbox import program
from fedpkg_container.errors import RegistryError
from fedpkg_container.registry.manifests import MANIFEST, Manifest
from tests.support.waiting import PATIENCE

UNWANTED = "SCHILY.xattr.user.overlay."
_NAMES = st.text(string.ascii_letters + "/é世", min_size=1, max_size=300).map(lambda text: f"d/{text}")
_KEYS = st.sampled_from(
    [
        *("SCHILY.xattr.security.capability", "SCHILY.xattr.user.other", "SCHILY.xattr.trusted.overlay.opaque"),
        *("SCHILY.xattr.user.overlayed", "comment", "mtime", "LIBARCHIVE.xattr.user.overlay.origin"),
    ]
)
_VALUES = st.text(string.printable.replace("\x00", ""), max_size=700).filter(lambda text: "\x00" not in text)
_WANTED = st.dictionaries(_KEYS, _VALUES, max_size=3)
_OVERLAYS = st.dictionaries(
    st.sampled_from(["origin", "impure", "redirect", "opaque", "metacopy"]).map(UNWANTED.__add__), _VALUES, max_size=3
)

pytestmark = pytest.mark.programs
_FORMATS = st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
_KINDS = st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
Member = tuple[str, bytes, bytes, "dict[str, str]", "dict[str, str]"]
_MEMBERS = st.lists(st.tuples(_NAMES, _KINDS, st.binary(max_size=3000), _WANTED, _OVERLAYS), max_size=6)


def _write(members: list[Any], kind: int, *, overlays: bool) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=kind) as archive:
        for name, type_, text, wanted, unwanted in members:
            entry = tarfile.TarInfo(name)
            entry.type = type_
            entry.linkname = "target" if type_ in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
            entry.size = len(text) if type_ == tarfile.REGTYPE else 0
            entry.uid = 5_000_000  # larger than octal digits have place for: base 256 in GNU's format
            entry.pax_headers = {**wanted, **(unwanted if overlays else {})}
            archive.addfile(entry, io.BytesIO(text) if entry.size else None)
    return content.getvalue()


def _strip(content: bytes) -> tuple[bytes, bool]:
    written = io.BytesIO()
    hashing = tar.Hashing(written)
    changed = tar.strip(io.BytesIO(content), hashing)
    assert hashing.digest == f"sha256:{hashlib.sha256(written.getvalue()).hexdigest()}"
    return written.getvalue(), changed


@given(_MEMBERS, _FORMATS)
def test_a_layer_without_them_stays_byte_for_byte(members: list[Any], kind: int) -> None:
    content = _write(members, kind, overlays=False)
    assert _strip(content) == (content, False)


def _without_padding(content: bytes) -> bytes:
    """tarfile fills archives to 10,240 bytes."""
    return content.rstrip(b"\0")


@given(_MEMBERS)
def test_a_layer_with_them_becomes_what_it_is_without(members: list[Any]) -> None:
    stripped, changed = _strip(_write(members, tarfile.PAX_FORMAT, overlays=True))
    assert _without_padding(stripped) == _without_padding(_write(members, tarfile.PAX_FORMAT, overlays=False))
    assert changed == any(unwanted for *_, unwanted in members)
    assert _strip(stripped) == (stripped, False)


def test_a_size_in_base_256_is_read() -> None:
    entry = tarfile.TarInfo("large")
    entry.size = 9 * 1024**3
    header = entry.tobuf(tarfile.GNU_FORMAT)
    assert tar.size_of(header) == entry.size


@pytest.mark.parametrize("size", [0, 1, 511, 512, 0o77777777777])
def test_a_size_in_octal_digits_is_read(size: int) -> None:
    entry = tarfile.TarInfo("file")
    entry.size = size
    assert tar.size_of(entry.tobuf(tarfile.USTAR_FORMAT)) == size


@given(st.binary(max_size=3000))
def test_other_bytes_are_an_error_or_stay(content: bytes) -> None:
    try:
        stripped, changed = _strip(content)
    except (ValueError, OSError):
        return
    assert changed or stripped == content


@given(st.lists(st.tuples(st.integers(0, 10**6), st.binary(max_size=3000)), max_size=5), _FORMATS)
def test_files_of_a_stream(files: list[tuple[int, bytes]], kind: int) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=kind) as archive:
        for number, text in files:
            link = tarfile.TarInfo("link")
            link.type, link.linkname = tarfile.SYMTYPE, "x"
            archive.addfile(link)
            entry = tarfile.TarInfo(str(number))
            entry.size = len(text)
            entry.pax_headers = {"size": str(len(text))} if number % 2 else {}
            archive.addfile(entry, io.BytesIO(text))
    read = tar.members(io.BytesIO(content.getvalue()))
    assert [(name, part.read()) for name, part in read] == [(str(number), text) for number, text in files]
    cut = io.BytesIO(content.getvalue()[:600])
    if files:
        with pytest.raises(ValueError, match="ends within"):
            list(tar.members(cut))


@pytest.mark.parametrize("compressed", [False, True])
def test_an_archive_holds_layers_configuration_and_list(tmp_path: Path, compressed: bool) -> None:
    """Of layers that were compressed by others too, in more than one part."""
    plain = [b"a" * 1000, bytes(1024), b"c" * 70_000]
    layers = []
    for number, content in enumerate(plain):
        (tmp_path / f"{number}").write_bytes(content)
        parts = (content[:500], content[500:])
        (tmp_path / f"{number}.gz").write_bytes(b"".join(map(gzip.compress, parts)))
        names = str(tmp_path / f"{number}.gz"), str(tmp_path / f"{number}")
        layers.append(export.Layer(f"sha256:{number}", len(content), {}, *names))
    (tmp_path / "5").write_bytes(b"{}")
    export.archive(str(tmp_path), "image:1", "sha256:5", [*layers, layers[0]], compressed=compressed)
    content = (tmp_path / export.ARCHIVE).read_bytes()
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(content) if compressed else content), mode="r:") as archive:
        found = {each.name: archive.extractfile(each).read() for each in archive}  # type: ignore[union-attr]
    listed = json.loads(found.pop("manifest.json"))
    assert found == {"0.tar": plain[0], "1.tar": plain[1], "2.tar": plain[2], "5.json": b"{}"}
    assert listed == [{"Config": "5.json", "RepoTags": ["image:1"], "Layers": ["0.tar", "1.tar", "2.tar", "0.tar"]}]


@pytest.mark.parametrize("size", [0, 1, 0o77777777777, 9 * 1024**3])
def test_headers_are_those_of_a_tar_archive(size: int) -> None:
    entry = tarfile.TarInfo.frombuf(tar.header("name", size), "ascii", "strict")
    assert (entry.name, entry.size, entry.mode, entry.isreg()) == ("name", size, 0o444, True)


@pytest.mark.parametrize("overlays", [False, True])
@pytest.mark.parametrize("plain", [False, True])
def test_a_layer_is_compressed_once(tmp_path: Path, overlays: bool, plain: bool) -> None:
    text = b"text" * 100_000
    member: Member = ("name", tarfile.REGTYPE, text, {}, {f"{UNWANTED}origin": "x"})
    wanted = _strip(_write([member], tarfile.PAX_FORMAT, overlays=overlays))[0]
    written = _write([member], tarfile.PAX_FORMAT, overlays=overlays)
    made = export.Export(str(tmp_path), {}, ["gzip", "-nc"], plain=plain)
    layer = made.layer("sha256:1", len(written), tar.Part(io.BytesIO(written), len(written)))
    packed = Path(layer.packed).read_bytes()
    assert gzip.decompress(packed) == wanted
    assert layer.diff_id == f"sha256:{hashlib.sha256(wanted).hexdigest()}"
    assert layer.size == len(wanted)
    assert layer.blob == {"digest": f"sha256:{hashlib.sha256(packed).hexdigest()}", "size": len(packed)}
    assert not plain or Path(layer.plain).read_bytes() == wanted


def test_a_program_that_fails_is_an_error(tmp_path: Path) -> None:
    member: Member = ("name", tarfile.REGTYPE, b"text" * 100_000, {}, {f"{UNWANTED}origin": "x"})
    written = _write([member], tarfile.PAX_FORMAT, overlays=True)
    with pytest.raises(SystemExit, match="false failed with exit status 1"):
        made = export.Export(str(tmp_path), {}, ["false"], plain=False)
        made.layer("sha256:1", len(written), tar.Part(io.BytesIO(written), len(written)))


@given(st.lists(st.tuples(_KEYS, _VALUES), max_size=5))
def test_records_are_what_was_written(pairs: list[tuple[str, str]]) -> None:
    written = [_record(key, value) for key, value in pairs]
    assert tar.records(b"".join(written)) == written


def _record(key: str, value: str) -> bytes:
    rest = f" {key}={value}\n".encode()
    length = len(rest) + 1
    while length != len(str(length)) + len(rest):
        length = len(str(length)) + len(rest)
    return str(length).encode() + rest


@pytest.mark.parametrize("content", [b"99 a=b\n", b"0 a=b\n", b"-7 a=b\n", b"x a=b\n", b"7a=b\n", b"1 \n"])
def test_records_that_are_none_are_an_error(content: bytes) -> None:
    with pytest.raises(ValueError):
        tar.records(content)


def test_it_starts_without_other_modules_of_ours_in_the_path(tmp_path: Path) -> None:
    command = [*program("export", Path(export.__file__).parent), str(tmp_path / "missing")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False, cwd="/")
    assert (done.returncode, done.stderr) == (1, f"export: No such file or directory: {tmp_path}/missing\n")


@pytest.mark.parametrize(
    ("content", "size", "reason"),
    [
        (b"{}", 1 << 40, "is longer than 4194304 bytes"),
        (b"[" * 100_000, 0, "is not JSON"),
        (b"[]", 0, "is not one of an image"),
        (b'{"config": [1]}', 0, "is not one of an image"),
    ],
)
def test_a_configuration_that_a_worker_wrote(tmp_path: Path, content: bytes, size: int, reason: str) -> None:
    """The worker's file may be sparse and of any size; this process reads it."""
    digest = f"sha256:{'0' * 64}"
    config = {"mediaType": "application/vnd.docker.container.image.v1+json", "digest": digest, "size": 2}
    manifest = Manifest.of({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": []})
    with (tmp_path / ("0" * 64)).open("wb") as file:
        file.write(content)
        if size:
            file.truncate(size)
    with pytest.raises(RegistryError, match=reason):
        Exported({"v2s2": manifest}, tmp_path, tmp_path).configuration("v2s2")
