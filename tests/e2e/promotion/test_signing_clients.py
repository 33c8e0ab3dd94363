# SPDX-License-Identifier: GPL-2.0-or-later
"""skopeo, cosign 2 and cosign 3 accept signed images and refuse unsigned ones; keys in a token."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fedpkg_container import registry_cli
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.signing.settings import SigningSettings
from fedpkg_container.registry.signing.storage import read_signatures
from fedpkg_container.registry.signing.verification import SIGNED
from tests.support.promoting import Bench, make_site, site_file
from tests.support.registries import access, docker_registry
from tests.support.signing import KeyFiles, key_files, signing_bench, verified
from tests.support.waiting import PATIENCE

PIN, WRONG_PIN = "Pl4nt3d1234", "Pl4nt3d5678"
COSIGN = os.environ.get("COSIGN", "") or shutil.which("cosign") or ""


@pytest.fixture(scope="module")
def host(directory: Path) -> Iterator[str]:
    with docker_registry(directory) as address:
        yield address


@pytest.fixture(params=["ec", "rsa"])
def keys(request: pytest.FixtureRequest, tmp_path: Path) -> KeyFiles:
    return key_files(tmp_path, request.param, request.param)


@pytest.fixture
def bench(directory: Path, host: str, tmp_path: Path) -> Bench:
    site = make_site(tmp_path, host, host, access=access(directory), prefix=tmp_path.name.replace("_", "-").lower())
    return Bench(tmp_path, site)


def trust(bench: Bench, file: str, capsys: pytest.CaptureFixture[str]) -> str:
    """A file for clients, as printed by the command."""
    arguments = ["--config", str(site_file(bench.site)), "trust", file]
    assert registry_cli.run(registry_cli.make_parser().parse_args(arguments)) == 0
    return capsys.readouterr().out


def skopeo(bench: Bench, directory: Path, image: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Copy an image with skopeo."""
    certificates = bench.site.candidates.access.certificates
    return subprocess.run(
        ["skopeo", *options, "copy", "--all", "--remove-signatures", "--src-cert-dir", str(certificates),
         f"docker://{image}", f"dir:{directory}"],
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip


@pytest.mark.programs
def test_skopeo_accepts_only_signed_images(bench: Bench, keys: KeyFiles, capsys: pytest.CaptureFixture[str]) -> None:
    bench = signing_bench(bench, keys.settings)
    signed, unsigned = bench.build(layers=1), bench.build("world-1-1", "world", layers=1)
    assert all(result.succeeded for result in (*bench.promote(signed, sign=True), *bench.promote(unsigned)))
    policy, registries = bench.directory / "policy.json", bench.directory / "registries.d"
    policy.write_text(trust(bench, "policy.json", capsys))
    registries.mkdir()
    (registries / "stable.yaml").write_text(trust(bench, "registries.yaml", capsys))
    options = ("--policy", str(policy), "--registries.d", str(registries))
    for name in (f"{bench.place(signed)}:latest", str(bench.place(signed).at(signed.image.digest))):
        done = skopeo(bench, bench.directory / "signed", name, *options)
        if "sigstore disabled" in done.stderr:
            pytest.skip("Debian 12 has removed the verification of sigstore signatures from skopeo")
        assert done.returncode == 0, done.stderr
    refused = skopeo(bench, bench.directory / "unsigned", f"{bench.place(unsigned)}:latest", *options)
    assert refused.returncode != 0
    assert "A signature was required, but no signature exists" in refused.stderr
    other = key_files(bench.directory, "other")
    policy.write_text(trust(signing_bench(bench, other.settings), "policy.json", capsys))
    assert skopeo(bench, bench.directory / "other", f"{bench.place(signed)}:latest", *options).returncode != 0
    both = replace(other.settings, accepted_keys=(keys.public,))
    policy.write_text(trust(signing_bench(bench, both), "policy.json", capsys))
    done = skopeo(bench, bench.directory / "both", f"{bench.place(signed)}:latest", *options)
    assert done.returncode == 0 or "keyDatas" in done.stderr, done.stderr


def cosign(bench: Bench, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run cosign, which trusts the registry and nothing else, and cannot reach a network."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(bench.directory),
        "SSL_CERT_FILE": str(bench.site.candidates.access.certificates / "ca.crt"),  # type: ignore[operator]
        "https_proxy": "http://127.0.0.1:1",
        "no_proxy": "127.0.0.1",
        **variables,
    }
    return subprocess.run(
        [COSIGN, *arguments], cwd=bench.directory, env=environment, capture_output=True, text=True, timeout=PATIENCE,
        check=False,
    )  # fmt: skip


@pytest.mark.programs
@pytest.mark.skipif(not COSIGN, reason="needs cosign")
def test_cosign_accepts_only_signed_images(bench: Bench, keys: KeyFiles, capsys: pytest.CaptureFixture[str]) -> None:
    bench = signing_bench(bench, keys.settings)
    signed, unsigned = bench.build(layers=1), bench.build("world-1-1", "world", layers=1)
    assert all(result.succeeded for result in (*bench.promote(signed, sign=True), *bench.promote(unsigned)))
    command = trust(bench, "cosign", capsys).split()
    command[command.index("key.pub")] = str(keys.public)

    def verify(name: str) -> subprocess.CompletedProcess[str]:
        return cosign(bench, *command[1:-1], name)

    with bench.http(bench.place(signed).registry) as http:
        index = Repository(http, bench.place(signed).repository).manifest("latest")
    for digest in (index.digest, *(member.digest for member in index.manifests)):
        done = verify(str(bench.place(signed).at(digest)))
        assert done.returncode == 0, done.stderr
        assert digest in done.stdout
    refused = verify(f"{bench.place(unsigned)}:latest")
    assert refused.returncode != 0
    assert "no signatures found" in refused.stderr or "no matching" in refused.stderr, refused.stderr


@pytest.mark.programs
@pytest.mark.skipif(not COSIGN, reason="needs cosign")
def test_signature_of_cosign_is_verified_and_kept(bench: Bench, keys: KeyFiles) -> None:
    """cosign signs the image in the candidate registry with a key that it made; the site signs with the same key."""
    password, environment = bench.directory / "password", {"COSIGN_PASSWORD": "of cosign's key"}
    password.write_text(f"{environment['COSIGN_PASSWORD']}\n")
    password.chmod(0o600)
    assert cosign(bench, "generate-key-pair", **environment).returncode == 0
    settings = SigningSettings(str(bench.directory / "cosign.key"), password, public_key=bench.directory / "cosign.pub")
    bench = signing_bench(bench, settings)
    candidate = bench.build(layers=1, artifacts=False)
    help_text = cosign(bench, "sign", "--help").stdout
    makes_bundles = "--use-signing-config" in help_text
    options = ["--use-signing-config=false"] if makes_bundles else []
    arguments = ["sign", "--key", settings.key, "--tlog-upload=false", "--yes", *options, str(candidate.image)]
    done = cosign(bench, *arguments, **environment)
    assert done.returncode == 0, done.stderr
    (result,) = bench.promote(candidate, sign=True)
    assert result.succeeded, result.error
    assert bench.promote(candidate, sign=True)[0].state == "unchanged"
    place = bench.place(candidate)
    with bench.http(place.registry) as http:
        repository = Repository(http, place.repository)
        found = list(read_signatures(repository, candidate.image.digest, ("bundle", "tag")))
        assert verified(bench, repository, candidate.image.digest).status == SIGNED
    names = [str(place)] if makes_bundles else [str(replace(candidate.image, digest="")), str(place)]
    assert [(signature.format, signature.identity) for signature in found] == [
        ("bundle", ""), *(("tag", name) for name in names)
    ]  # fmt: skip
    done = cosign(bench, *arguments[:-1], str(place.at(candidate.image.digest)), **environment)
    assert done.returncode == 0, f"cosign adds its signature to ours: {done.stderr}"
    assert bench.promote(candidate, sign=True)[0].state == "unchanged"


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A software token with a PIN; the PKCS#11 URI of the key ``own`` in it."""
    if not shutil.which("softhsm2-util") or not shutil.which("pkcs11-tool"):
        pytest.skip("needs softhsm2 and opensc")
    module = next(Path("/usr").glob("lib*/**/libsofthsm2.so"))
    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm2.conf").write_text(f"directories.tokendir = {tmp_path}/tokens\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(tmp_path / "softhsm2.conf"))
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", "a site", "--pin", PIN, "--so-pin", PIN],
        check=True, capture_output=True, timeout=PATIENCE,
    )  # fmt: skip
    (tmp_path / "pin").write_text(PIN)
    (tmp_path / "pin").chmod(0o600)
    return f"pkcs11:token=a%20site;object=own?module-path={module}&pin-source=file:{tmp_path}/pin"


@pytest.mark.programs
def test_key_in_a_token(token: str, bench: Bench, keys: KeyFiles, caplog: pytest.LogCaptureFixture) -> None:
    subprocess.run(
        ["softhsm2-util", "--import", keys.private, "--token", "a site", "--label", "own", "--id", "01", "--pin", PIN],
        check=True, capture_output=True, timeout=PATIENCE,
    )  # fmt: skip
    caplog.set_level(logging.DEBUG, "fedpkg_container")
    bench = signing_bench(bench, SigningSettings(token, public_key=keys.public))
    candidate = bench.build(layers=1, arches=("amd64",), artifacts=False)
    (result,) = bench.promote(candidate, sign=True)
    assert result.succeeded, result.error
    place = bench.place(candidate)
    with bench.http(place.registry) as http:
        assert verified(bench, Repository(http, place.repository), candidate.image.digest).status == SIGNED
    assert "pkcs11-tool --module" in caplog.text
    (bench.directory / "pin").write_text(WRONG_PIN)
    others = [bench.build(f"{name}-1-1", name, layers=1) for name in ("one", "two", "three", "four", "five")]
    results = bench.promote(*others, sign=True)
    assert {result.error for result in results} == {results[0].error}
    assert "pkcs11-tool failed" in results[0].error
    assert caplog.text.count("pkcs11-tool --module") == 5, "one wrong PIN, not one per image, which locks a token"
    assert PIN not in caplog.text
    assert WRONG_PIN not in caplog.text + results[0].error
