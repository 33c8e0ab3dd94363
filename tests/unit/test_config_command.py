# SPDX-License-Identifier: GPL-2.0-or-later
"""``container-build-config`` as a program, in a real checkout without a hub."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.checkout import LocalCheckout
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.programs

DONE, FAILED, USAGE, REFUSED = 0, 1, 2, 3


@pytest.fixture
def checkout(tmp_path: Path) -> LocalCheckout:
    return LocalCheckout.make(tmp_path)


def _config(checkout: LocalCheckout, *arguments: str) -> subprocess.CompletedProcess[str]:
    return checkout.run("container-build-config", *arguments)


def test_table_is_aligned(checkout: LocalCheckout) -> None:
    done = _config(checkout, "--offline")
    assert done.returncode == DONE
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["package", "foo-container", "Dockerfile:4"]
    short = [line for line in lines if not line.startswith("parents")]
    origins = [line.rindex(word) for line in short for word in ("Dockerfile:", "git", "hub") if line.endswith(word)]
    assert len(set(origins)) == 1
    assert "note: values from the hub omitted (--offline)" in done.stderr


def test_json(checkout: LocalCheckout) -> None:
    (checkout.directory / "container.yaml").write_text("flatpak: {a: .nan, b: 2024-01-01}\n")
    output = json.loads(_config(checkout, "--offline", "--json").stdout)
    values = {setting["key"]: setting["value"] for setting in output["settings"]}
    assert values["branch"] == "rawhide"
    assert values["target"] == "rawhide-container-candidate"
    assert values["flatpak"] == {"a": "NaN", "b": "2024-01-01"}
    assert output["notes"] == ["values from the hub omitted (--offline)"]


def test_unreachable_hub_is_noted(checkout: LocalCheckout) -> None:
    koji = checkout.home / ".koji"
    koji.mkdir()
    (koji / "config").write_text("[koji]\nserver = http://127.0.0.1:9/kojihub\n")
    done = _config(checkout)
    assert done.returncode == DONE
    assert (
        "note: cannot reach the hub http://127.0.0.1:9/kojihub: connection refused; values from the hub omitted"
        in done.stderr
    )
    assert "rawhide-container-candidate" in done.stdout
    assert _config(checkout, "--get", "build-tag").returncode == 5


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("target", "rawhide-container-candidate"),
        ("version", "1.0"),
        ("platforms.only", "x86_64 aarch64"),
        ("platforms", "{only: [x86_64, aarch64]}"),
        ("parents", "registry.example.com/build:1 registry.example.com/fedora:41"),
        ("autorebuild", "false"),
    ],
)
def test_get(checkout: LocalCheckout, key: str, value: str) -> None:
    (checkout.directory / "container.yaml").write_text("platforms:\n  only: [x86_64, aarch64]\n")
    done = _config(checkout, "--get", key)
    assert (done.returncode, done.stdout, done.stderr) == (DONE, f"{value}\n", "")


def test_get_of_unset_key_and_of_unreadable_file(checkout: LocalCheckout) -> None:
    done = _config(checkout, "--get", "tags")
    assert (done.returncode, done.stdout, done.stderr) == (FAILED, "", "")
    (checkout.directory / "container.yaml").write_text("tags: [\n")
    done = _config(checkout, "--get", "tags")
    assert done.returncode == REFUSED
    assert "[yaml-syntax]" in done.stderr


def test_set_of_invalid_yaml(checkout: LocalCheckout) -> None:
    for text in ("platforms.only=[x86_64", "compose.packages={a: b"):
        done = _config(checkout, "--set", text)
        assert done.returncode == USAGE, done.stdout
    assert not (checkout.directory / "container.yaml").exists()


def test_get_of_unknown_key(checkout: LocalCheckout) -> None:
    done = _config(checkout, "--get", "platforms.onyl")
    assert done.returncode == FAILED
    assert done.stderr == "error: unknown key platforms.onyl\n       did you mean platforms.only?\n"
    done = _config(checkout, "--get", "arches", "--offline")
    assert done.returncode == USAGE
    assert "arches is only known to the hub" in done.stderr


def test_set_and_unset(checkout: LocalCheckout) -> None:
    path = checkout.directory / "container.yaml"
    path.write_text("# mine\ntags: [a] # b\n")
    done = _config(checkout, "--set", "platforms.only=x86_64,aarch64", "--unset", "tags")
    assert done.returncode == DONE
    assert done.stdout == "container.yaml changed: remember to commit it\n"
    assert path.read_text() == "# mine\nplatforms:\n  only: [x86_64, aarch64]\n"
    assert (
        _config(checkout, "--set", "platforms.only=x86_64,aarch64").stdout == "container.yaml is already up to date\n"
    )
    assert _config(checkout, "--unset", "tags").returncode == FAILED


def test_dry_run_shows_the_change(checkout: LocalCheckout) -> None:
    done = checkout.run("--dry-run", "container-build-config", "--set", "tags=a")
    assert (
        done.stdout == "dry run: would write\n--- a/container.yaml\n+++ b/container.yaml\n@@ -0,0 +1 @@\n+tags: [a]\n"
    )
    assert not (checkout.directory / "container.yaml").exists()


def test_invalid_changes_are_refused(checkout: LocalCheckout) -> None:
    done = _config(checkout, "--set", "platforms.onyl=x")
    assert done.returncode == REFUSED
    assert "container.yaml:2: error: unknown key onyl in platforms [yaml-unknown-key]" in done.stderr
    assert "did you mean only?" in done.stderr
    assert not (checkout.directory / "container.yaml").exists()


def test_check(checkout: LocalCheckout) -> None:
    done = _config(checkout, "--check")
    assert (done.returncode, done.stdout) == (DONE, "no findings\n")
    (checkout.directory / "container.yaml").write_text("platfroms: {}\nversion: 1\n")
    done = _config(checkout, "--check")
    assert done.returncode == REFUSED
    assert done.stdout.startswith("container.yaml:1: error: unknown key platfroms [yaml-unknown-key]\n")
    assert done.stdout.endswith("1 error, 1 warning\n")
    output = json.loads(_config(checkout, "--check", "--json").stdout)
    assert (output["errors"], output["warnings"]) == (1, 1)
    assert output["findings"][0]["line"] == 1


def test_check_needs_only_files(checkout: LocalCheckout, tmp_path: Path) -> None:
    directory = tmp_path / "elsewhere"
    directory.mkdir()
    (directory / "Dockerfile").write_text((checkout.directory / "Dockerfile").read_text())
    assert checkout.run("container-build-config", "--check", cwd=directory).stdout == "no findings\n"


def test_files_are_shown_outside_of_a_checkout(checkout: LocalCheckout, tmp_path: Path) -> None:
    done = checkout.run("container-build-config", cwd=tmp_path)
    assert done.returncode == DONE
    assert f"note: {tmp_path} is not a git repository" in done.stderr
    assert checkout.run("container-build-config", "--get", "branch", cwd=tmp_path).returncode == REFUSED


def test_no_target_without_a_branch(checkout: LocalCheckout) -> None:
    checkout.git("switch", "--quiet", "--detach")
    done = _config(checkout)
    assert done.returncode == DONE
    assert "note: unknown target: the checkout is not on a branch; values from the hub omitted" in done.stderr
    assert [line.split()[1] for line in done.stdout.splitlines() if line.startswith(("branch", "target"))] == ["-", "-"]
    assert _config(checkout, "--get", "build-tag").returncode == REFUSED


def test_container_build_setup_and_config_are_equivalent(checkout: LocalCheckout) -> None:
    path = checkout.directory / ".osbs-repo-config"
    message = f"Config value changed, don't forget to commit {path} file\n"
    for one, other in (("setup", "config"), ("config", "setup")):
        assert checkout.run(f"container-build-{one}", "--set-autorebuild", "true").stdout == message
        assert path.read_text() == "[autorebuild]\nenabled = true\n\n"
        assert ".osbs-repo-config" in checkout.git("diff", "--cached", "--name-only")
        assert checkout.run(f"container-build-{other}", "--get-autorebuild").stdout == "true\n"
        path.unlink()
        assert checkout.run(f"container-build-{one}", "--get-autorebuild").stdout == "false\n"
    path.write_text("no section\n")
    done = checkout.run("container-build-setup", "--get-autorebuild")
    assert done.returncode == REFUSED
    assert "error: cannot read .osbs-repo-config" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--get", "tags", "--set", "tags=a"),
        ("--check", "--get", "tags"),
        ("--check", "--unset", "tags"),
        ("--json", "--set", "tags=a"),
        ("--json", "--get-autorebuild"),
        ("--set", "tags"),
        ("--set-autorebuild", "maybe"),
    ],
)
def test_wrong_usage(checkout: LocalCheckout, arguments: tuple[str, ...]) -> None:
    done = _config(checkout, *arguments)
    assert done.returncode == USAGE
    assert "error: " in done.stderr
    assert not (checkout.directory / "container.yaml").exists()


def test_control_characters_in_files_are_replaced(checkout: LocalCheckout) -> None:
    (checkout.directory / "container.yaml").write_text('set_release_env: "\\e[2J\\nforged  line\\u202e"\n')
    done = _config(checkout, "--offline")
    assert "\x1b" not in done.stdout
    assert "\u202e" not in done.stdout
    assert not [line for line in done.stdout.splitlines() if line.startswith("forged")]


def test_add_arguments_imports_no_slow_modules() -> None:
    code = (
        "import argparse, sys; from fedpkg_container.commands import container_build_config as c;"
        "c.add_arguments(argparse.ArgumentParser());"
        "print({'koji', 'git', 'requests', 'jsonschema', 'ruamel.yaml', 'pyrpkg'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert done.stdout == "set()\n"
