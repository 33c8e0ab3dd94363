# SPDX-License-Identifier: GPL-2.0-or-later
"""rpkg's own commands through our client: with git repositories, a dist-git and a lookaside cache that are real."""

from __future__ import annotations

import argparse
import configparser
import functools
import hashlib
import http.server
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyrpkg
import pyrpkg.cli
import pytest

from fedpkg_container import cli, client
from fedpkg_container.box.box import Box
from fedpkg_container.box.shell import environment
from tests.support import preloaded
from tests.support.waiting import PATIENCE

SPEC = """\
Name: hello
Version: 1.0
Release: 2%{?dist}
Summary: a test
License: MIT
Source0: hello.tar
%description
A test.
%changelog
* Mon Nov 16 2026 Box Packager <packager@localhost> - 1.0-2
- second
"""
ARCHIVE = b"what the archive holds\n"
#: The only kind of release whose RPM macros rpkg alone knows, without a site's client.
RELEASE = ("--release", "rhel-7")
#: Commands that are ours.
OURS = {"container-build", "container-build-config", "container-enable", "container-status"}
#: Commands of rpkg that have more options here.
EXTENDED = {"lint"}


@dataclass(frozen=True)
class Person:
    """A packager with a checkout of ``rpms/hello``."""

    environment: dict[str, str]
    checkout: Path

    def run(self, *command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return preloaded.run(command, cwd=cwd or self.checkout, env=self.environment, timeout=PATIENCE)

    def says(self, *command: str, cwd: Path | None = None) -> str:
        """What a command prints that must succeed."""
        done = self.run(*command, cwd=cwd)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout.strip()


@pytest.fixture(scope="module")
def lookaside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A lookaside cache that holds the archive; its address."""
    directory = tmp_path_factory.mktemp("lookaside")
    digest = hashlib.sha512(ARCHIVE).hexdigest()
    file = directory / "rpms" / "hello" / "hello.tar" / "sha512" / digest / "hello.tar"
    file.parent.mkdir(parents=True)
    file.write_bytes(ARCHIVE)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(scope="module")
def person(small_box: Box, lookaside: str, tmp_path_factory: pytest.TempPathFactory) -> Person:
    directory = tmp_path_factory.mktemp("person")
    small_box.create_repository("rpms/hello")
    made = Person(environment(small_box, user="person"), directory / "hello")
    settings = Path(made.environment["HOME"]) / ".config" / "rpkg" / "fedpkg.conf"
    config = configparser.ConfigParser(interpolation=None)
    config.read(settings)
    config["fedpkg"]["lookaside"] = lookaside
    with settings.open("w") as file:
        config.write(file)
    made.says("fedpkg", "clone", "rpms/hello", cwd=directory)
    (made.checkout / "hello.spec").write_text(SPEC)
    (made.checkout / "sources").write_text(f"SHA512 (hello.tar) = {hashlib.sha512(ARCHIVE).hexdigest()}\n")
    made.says("git", "add", "--all")
    made.says("fedpkg", "commit", "--message", "first")
    made.says("fedpkg", "push")
    return made


def test_commit_and_push_reach_dist_git(person: Person) -> None:
    here = person.says("git", "rev-parse", "HEAD")
    assert person.says("git", "ls-remote", "origin", "refs/heads/rawhide").split()[0] == here


def test_clone_without_a_name(person: Person, tmp_path: Path) -> None:
    person.says("fedpkg", "clone", "--anonymous", "--branch", "rawhide", "rpms/hello", "elsewhere", cwd=tmp_path)
    assert (tmp_path / "elsewhere" / "hello.spec").exists()


def test_giturl_names_the_commit(person: Person) -> None:
    commit = person.says("git", "rev-parse", "HEAD")
    assert person.says("fedpkg", "giturl").endswith(f"/rpms/hello#{commit}")
    assert person.says("fedpkg", "--path", str(person.checkout), "giturl", cwd=Path("/")).endswith(commit)


def test_verrel_reads_the_spec(person: Person) -> None:
    assert person.says("fedpkg", *RELEASE, "verrel") == "hello-1.0-2.el7"


def test_clog_writes_the_changelog(person: Person) -> None:
    person.says("fedpkg", *RELEASE, "clog")
    assert (person.checkout / "clog").read_text().strip() == "second"
    (person.checkout / "clog").unlink()


def test_sources_brings_the_archive(person: Person) -> None:
    person.says("fedpkg", "sources")
    assert (person.checkout / "hello.tar").read_bytes() == ARCHIVE


def test_switch_branch(person: Person) -> None:
    person.says("git", "push", "--quiet", "origin", "HEAD:f41")
    assert "f41" in person.says("fedpkg", "switch-branch", "--fetch")
    person.says("fedpkg", "switch-branch", "f41")
    assert person.says("git", "branch", "--show-current") == "f41"
    person.says("fedpkg", "switch-branch", "rawhide")


def test_container_build_setup_writes_and_stages_its_file(person: Person) -> None:
    file = person.checkout / ".osbs-repo-config"
    assert person.says("fedpkg", "container-build-setup", "--get-autorebuild") == "false"
    said = person.says("fedpkg", "container-build-setup", "--set-autorebuild", "true")
    assert said.startswith("Config value changed, don't forget to commit")
    assert person.says("fedpkg", "container-build-setup", "--get-autorebuild") == "true"
    assert file.read_text().strip() == "[autorebuild]\nenabled = true"
    assert person.says("git", "diff", "--cached", "--name-only") == ".osbs-repo-config"
    person.says("fedpkg", "container-build-setup", "--set-autorebuild", "false")
    assert file.read_text().strip() == "[autorebuild]\nenabled = false"
    person.says("git", "rm", "--quiet", "--force", file.name)


def test_an_error_of_rpkg_is_one_line(person: Person, tmp_path: Path) -> None:
    done = person.run("fedpkg", "verrel", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("Could not execute verrel: ")
    assert "Traceback" not in done.stderr


def test_verbose_shows_no_traceback(person: Person, tmp_path: Path) -> None:
    done = person.run("fedpkg", "-v", "verrel", cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def _clients(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """rpkg's client and ours, where libmodulemd is installed, without which rpkg has no flatpak-build."""
    monkeypatch.setattr("pyrpkg.cli.Modulemd", object())
    monkeypatch.setattr("sys.argv", ["fedpkg"])
    config = configparser.ConfigParser()
    config["fedpkg"] = {"kojiprofile": "koji", "build_client": "koji"}
    kind, _ = client.client_class("fedpkg")
    return pyrpkg.cli.cliClient(config, name="fedpkg"), kind(config, name="fedpkg")


def _commands(client: Any) -> dict[str, argparse.ArgumentParser]:
    return dict(client.subparsers.choices)


def test_all_commands_of_rpkg_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    rpkg, ours = map(_commands, _clients(monkeypatch))
    assert set(rpkg) - set(ours) == set()
    assert set(ours) - set(rpkg) <= OURS


def test_their_help_is_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    rpkg, ours = map(_commands, _clients(monkeypatch))
    theirs = set(rpkg) - OURS - EXTENDED - {"flatpak-build"}
    for name in EXTENDED:
        assert set(rpkg[name]._option_string_actions) <= set(ours[name]._option_string_actions)
    assert [name for name in sorted(theirs) if rpkg[name].format_help() != ours[name].format_help()] == []


def test_help_of_flatpak_build_is_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    rpkg, ours = map(_commands, _clients(monkeypatch))
    assert rpkg["flatpak-build"].format_help() == ours["flatpak-build"].format_help()


def test_flatpak_build_reaches_rpkgs_code(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    monkeypatch.setattr("pyrpkg.cli.Modulemd", object())
    monkeypatch.setattr("pyrpkg.cli.cliClient.set_module_api_url", lambda _: None)
    monkeypatch.setattr("pyrpkg.Commands.container_build_koji", lambda _, *given, **named: calls.append((given, named)))
    monkeypatch.setenv("HOME", person.environment["HOME"])
    monkeypatch.chdir(person.checkout)
    arguments = ["flatpak-build", "--scratch", "--nowait"]
    monkeypatch.setattr("sys.argv", ["fedpkg", *arguments])
    handlers = list(pyrpkg.log.handlers)
    try:
        assert cli.run(arguments) == 0
    finally:
        pyrpkg.log.handlers[:] = handlers
    ((given, named),) = calls
    assert given == (False,)
    assert (named["flatpak"], named["nowait"], named["background"]) == (True, True, False)
    assert named["opts"] == {
        "scratch": True,
        "quiet": False,
        "release": None,
        "isolated": False,
        "koji_parent_build": None,
        "git_branch": "rawhide",
        "arches": None,
        "signing_intent": None,
        "skip_build": False,
        "yum_repourls": None,
    }
