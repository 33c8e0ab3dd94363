# SPDX-License-Identifier: GPL-2.0-or-later
"""The patch for rpkg: with it, a site's program has the container commands; without it, nothing changes."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fedpkg_container import rpkg_extension
from fedpkg_container.client import Client
from fedpkg_container.rpkg_extension import extend
from tests.support.checkouts import make_checkout
from tests.support.tabs import clean_environment
from tests.support.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
PATCH = ROOT / "packaging" / "rpkg" / "0001-Let-other-packages-extend-the-client.patch"
ENTRY_POINT = '[project.entry-points."rpkg.clients"]\nfedpkg-container = "fedpkg_container.rpkg_extension:extend"\n'
REFUSED, USAGE_ERROR = 3, 2
#: A site's client with its own command, and a program like rpkg's and fedpkg's, with their error messages.
SITE = """\
import configparser, logging, sys
import pyrpkg, pyrpkg.cli

class sitepkgClient(pyrpkg.cli.cliClient):
    def __init__(self, config, name=None):
        self.DEFAULT_CLI_NAME = "sitepkg"
        self.setup_completers()
        super().__init__(config, name)
        self.subparsers.add_parser("site-command", help="Print a word").set_defaults(command=self.site_command)

    def site_command(self):
        print("of the site")

config = configparser.ConfigParser()
config.read(sys.argv.pop(1))
client = sitepkgClient(config)
client.do_imports()
client.parse_cmdline()
client.args.path = client.args.path or "."
client.setupLogging(pyrpkg.log)
pyrpkg.log.setLevel(logging.INFO)
try:
    sys.exit(client.args.command())
except Exception as error:
    pyrpkg.log.error("the site's message: %s: %s", client.args.command.__name__, error)
    sys.exit(1)
"""
DOCKERFILE = """\
FROM registry.example.org/fedora:42
LABEL com.redhat.component="hello-container" name="hello" version="1.0"
"""

pytestmark = pytest.mark.programs


class Site:
    """The program ``sitepkg``, and a checkout that can be built."""

    def __init__(self, directory: Path, modules: list[Path]) -> None:
        """Write the program and the checkout.

        :param modules: directories of Python modules that precede the installed ones
        """
        self.program = directory / "sitepkg"
        self.program.write_text(SITE)
        bundled = (ROOT / "fedpkg_container" / "fedpkg.conf").read_text()
        self.configuration = directory / "sitepkg.conf"
        self.configuration.write_text(bundled.replace("[fedpkg", "[sitepkg"))
        self.checkout = make_checkout(directory / "hello")
        self.commit(DOCKERFILE)
        self.environment = {**clean_environment(directory), "PYTHONPATH": os.pathsep.join(map(str, modules))}

    def commit(self, dockerfile: str) -> None:
        """Commit a Dockerfile, as if it were pushed."""
        (self.checkout / "Dockerfile").write_text(dockerfile)
        for command in (
            ["add", "."],
            ["-c", "user.name=x", "-c", "user.email=x@x", "commit", "--quiet", "--message", "change"],
            ["update-ref", "refs/remotes/origin/rawhide", "HEAD"],
        ):
            subprocess.run(["git", *command], cwd=self.checkout, check=True, timeout=PATIENCE)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the program in the checkout."""
        return subprocess.run(
            [sys.executable, str(self.program), str(self.configuration), *arguments],
            cwd=self.checkout, env=self.environment, capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip


@pytest.fixture(scope="module")
def patched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a patched copy of the installed rpkg, and with our entry point."""
    directory = tmp_path_factory.mktemp("patched")
    found = importlib.util.find_spec("pyrpkg")
    assert found is not None
    assert found.origin is not None
    shutil.copytree(Path(found.origin).parent, directory / "pyrpkg", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(["git", "apply", "--include=pyrpkg/*", str(PATCH)], cwd=directory, check=True, timeout=PATIENCE)
    _install(directory, "fedpkg-container-of-the-test", ENTRY_POINT.split("\n", 1)[1].replace('"', ""))
    return directory


def _install(directory: Path, name: str, entry_points: str) -> None:
    """Add the metadata of a package that has entry points of rpkg's group."""
    metadata = directory / f"{name.replace('-', '_')}-0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0\n")
    (metadata / "entry_points.txt").write_text(f"[rpkg.clients]\n{entry_points}")


@pytest.fixture
def site(tmp_path: Path, patched: Path) -> Site:
    """A site with the patched rpkg."""
    return Site(tmp_path, [patched, ROOT])


def test_the_entry_point_is_that_of_the_package() -> None:
    assert ENTRY_POINT in (ROOT / "pyproject.toml").read_text()


def test_commands_in_the_site_s_program(site: Site) -> None:
    commands = site.run("--help").stdout
    assert "container-status" in commands
    assert "site-command" in commands
    assert "container-enable" not in commands
    assert site.run("site-command").stdout == "of the site\n"


def test_a_dry_run_in_the_site_s_program(site: Site) -> None:
    done = site.run("container-build", "--dry-run", "--offline")
    assert done.stderr.count("error") == 0
    assert done.stdout.startswith("dry run: would submit a build")
    assert done.returncode == 0


def test_errors_in_the_site_s_program_are_ours(site: Site) -> None:
    site.commit(f"{DOCKERFILE}RUN --security=insecure true\n")
    done = site.run("container-build", "--dry-run", "--offline")
    assert "Dockerfile:3" in done.stderr
    assert "the site's message" not in done.stderr
    assert done.returncode == REFUSED
    with site.configuration.open("a") as file:
        file.write("[sitepkg.container-build]\nprogress = colored\n")
    done = site.run("container-build", "--nowait")
    assert "[sitepkg.container-build] progress = colored: " in done.stderr
    assert done.returncode == USAGE_ERROR


def test_errors_of_the_site_s_own_commands_are_the_site_s(site: Site) -> None:
    done = site.run("--name", "hello", "--namespace", "rpms", "verrel")
    assert "the site's message: verrel" in done.stderr
    assert done.returncode == 1


def test_our_program_is_the_same_with_the_patch(site: Site) -> None:
    program = 'import sys; sys.argv[0] = "fedpkg-container"; from fedpkg_container.cli import main; main()'
    for modules in (site.environment["PYTHONPATH"], str(ROOT)):
        done = subprocess.run(
            [sys.executable, "-c", program, "container-build", "--dry-run", "--offline"], cwd=site.checkout,
            env={**site.environment, "PYTHONPATH": modules}, capture_output=True, text=True, timeout=PATIENCE,
            check=True,
        )  # fmt: skip
        assert done.stdout.startswith("dry run: would submit a build")
    assert extend(type("Ours", (Client,), {})).__mro__[1] is Client


@pytest.mark.parametrize("missing", [None, "rich", "ruamel"])
def test_only_an_installed_client_extends(missing: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpkg_extension, "find_spec", lambda name: name != missing)
    assert issubclass(extend(type("sitepkgClient", (), {})), Client) is (missing is None)


def test_without_the_patch_nothing_changes(tmp_path: Path, patched: Path) -> None:
    only_metadata = tmp_path / "metadata"
    shutil.copytree(patched, only_metadata, ignore=shutil.ignore_patterns("pyrpkg"))
    site = Site(tmp_path, [only_metadata, ROOT])
    assert "--skip-check" not in site.run("container-build", "--help").stdout


def test_an_extension_that_cannot_be_imported_is_skipped(tmp_path: Path, patched: Path) -> None:
    _install(tmp_path, "broken", "broken = fedpkg_container.missing:extend\n")
    done = Site(tmp_path, [tmp_path, patched, ROOT]).run("site-command")
    assert done.stdout == "of the site\n"
    assert done.stderr == "Ignoring the extension broken: No module named 'fedpkg_container.missing'\n"
