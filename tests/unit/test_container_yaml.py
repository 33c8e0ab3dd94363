# SPDX-License-Identifier: GPL-2.0-or-later
"""Parsing and validating container.yaml."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from fedpkg_container.distgit import container_yaml, rules
from fedpkg_container.distgit.container_yaml import ContainerYaml
from fedpkg_container.distgit.container_yaml_keys import KEYS, Effect, Key, find_key
from fedpkg_container.distgit.container_yaml_schema import SCHEMA, keys
from fedpkg_container.distgit.safe_read import MAX_BYTES
from fedpkg_container.model.findings import ERROR, WARNING, Finding
from tests.support.checkout import read_nothing

GOOD = """\
# what we build
platforms:
  only: x86_64
  not: [ppc64le, s390x]
tags: [latest, "1.0"]
compose: {packages: [httpd], pulp_repos: yes}
remote_sources:
- name: a
  remote_source: {repo: https://example.com/a, ref: b55c00f45ec3dfee0c766cea3d395d6e21cc2e5a}
set_release_env: RELEASE
"""


def _findings(text: str, severity: str = ERROR) -> list[tuple[str, int, str, str]]:
    found = ContainerYaml.from_text(text).findings
    return [(each.code, each.line, each.message, each.solution) for each in found if each.severity == severity]


def _one(text: str, severity: str = ERROR) -> tuple[str, int, str, str]:
    found = _findings(text, severity)
    assert len(found) == 1, found
    return found[0]


def test_values(tmp_path: Path) -> None:
    (tmp_path / "container.yaml").write_text(GOOD)
    read = ContainerYaml.read(tmp_path)
    assert read.exists
    assert read.platforms.only == ("x86_64",)
    assert read.platforms.excluded == ("ppc64le", "s390x")
    assert read.tags == ("latest", "1.0")
    assert read.compose == {"packages": ["httpd"], "pulp_repos": True}
    assert [each["name"] for each in read.remote_sources] == ["a"]
    assert read.set_release_env == "RELEASE"
    assert not [each for each in read.findings if each.severity == ERROR]


def test_missing_file_has_no_findings(tmp_path: Path) -> None:
    assert ContainerYaml.read(tmp_path) == ContainerYaml()
    assert container_yaml.check(tmp_path) == []


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "{}", "platforms:\n", "compose: {packages: }\n"])
def test_empty_files_are_accepted(text: str) -> None:
    assert _findings(text) == []


def test_one_remote_source() -> None:
    read = ContainerYaml.from_text(f"remote_source: {{repo: x, ref: {'a' * 40}}}")
    assert read.remote_sources == ({"remote_source": {"repo": "x", "ref": "a" * 40}},)


def test_ignored_keys_warn_with_line_numbers() -> None:
    assert [each[:3] for each in _findings("tags: [a]\nremote_sources_version: 2\n", WARNING)] == [
        (
            "yaml-ignored",
            2,
            "key remote_sources_version is ignored by builders: it only applies to remote sources",
        )
    ]


def test_keys_that_require_a_service_are_valid_but_rejected(tmp_path: Path) -> None:
    (tmp_path / "container.yaml").write_text("tags: [a]\nflatpak: {id: x}\nset_release_env: 1a\n")
    assert [(each.code, each.line, each.severity) for each in container_yaml.check(tmp_path)] == [
        ("yaml-unavailable", 2, ERROR),
        ("yaml-variable", 3, ERROR),
    ]


@pytest.mark.parametrize(
    ("text", "warnings", "errors"),
    [
        ("compose:\n", [], []),
        ("compose: {packages: [], modules: [], inherit: false, module_resolve_tags: false}", [], []),
        ("compose:\n  packages: [httpd]\n  pulp_repos: true\n", ["packages", "pulp_repos"], []),
        ("compose: {pulp_repos: false}", ["pulp_repos"], []),
        ("compose: {build_only_content_sets: {x86_64: [a-rpms]}}", ["build_only_content_sets"], []),
        ("compose: {signing_intent: release}", ["signing_intent"], []),
        ("compose: {packages: [a], modules: ['nodejs:18']}", ["packages"], ["modules"]),
        ("compose: {inherit: true, modular_koji_tags: true}", [], ["modular_koji_tags", "inherit"]),
        ("compose: {module_resolve_tags: [f41]}", [], ["module_resolve_tags"]),
    ],
)
def test_composes_are_replaced_unless_other_packages_would_be_installed(
    text: str, warnings: list[str], errors: list[str]
) -> None:
    read = ContainerYaml.from_text(text)
    assert [(each.code, each.severity, each.message.split()[1]) for each in (*read.findings, *read.refused)] == [
        *(("yaml-replaced", WARNING, f"compose.{key}") for key in warnings),
        *(("yaml-unavailable", ERROR, f"compose.{key}") for key in errors),
    ]
    assert all("build tag" in each.message for each in read.findings)
    assert all(each.solution for each in (*read.findings, *read.refused))


def test_tags_with_a_hyphen_are_ignored() -> None:
    assert [each[:2] for each in _findings("tags:\n- a\n- 1.0-1\n", WARNING)] == [("tag-ignored", 3)]


def test_every_key_has_one_effect() -> None:
    names = [key.name for key in KEYS]
    assert len(names) == len(set(names))
    assert {path for path in keys() if not any(name.startswith(f"{path}.") for name in names)} == {
        path for path in keys() if find_key(tuple(path.split(".")))
    }
    assert set(names) <= set(keys())
    supported = {key.path[0] for key in KEYS if key.effect is Effect.SUPPORTED}
    assert supported == {"platforms", "tags", "set_release_env", "buildtime_limit", "go"}
    assert {key.path[0] for key in KEYS} == set(SCHEMA["properties"])


@pytest.mark.parametrize(
    "key", [key for key in KEYS if key.effect is not Effect.SUPPORTED], ids=lambda key: str(key.name)
)
def test_every_unsupported_key_is_reported(key: Key) -> None:
    value: object = _example(key.path)
    for name in reversed(key.path):
        value = {name: value}
    text = json.dumps(value)
    read = ContainerYaml.from_text(text)
    (finding,) = [each for each in (*read.findings, *read.refused) if key.name in each.message.split()]
    assert (finding.severity == ERROR) == (key.effect is Effect.REFUSED)
    assert key.reason in finding.message


def _example(path: tuple[str, ...]) -> object:
    """Return a value that is accepted for a key."""
    examples: dict[str, object] = {
        "remote_source": {"repo": "x", "ref": "a" * 40},
        "remote_sources": [{"name": "a", "remote_source": {"repo": "x", "ref": "a" * 40}}],
        "operator_manifests": {"manifests_dir": "m"},
        "flatpak": {"id": "x"},
        "autorebuild": {"from_latest": True},
        "image_build_method": "imagebuilder",
        "multilib_method": ["all"],
        "build_only_content_sets": {"x86_64": ["a-rpms"]},
        "signing_intent": "release",
        "version": 1,
        "remote_sources_version": 1,
        **{key: ["a"] for key in ("packages", "modules", "multilib_arches")},
    }
    return examples.get(path[-1], True)


def test_deprecated_keys_warn() -> None:
    assert [code for code, *_ in _findings("version: 1\nautorebuild: {from_latest: true}\n", WARNING)] == [
        "yaml-deprecated",
        "yaml-deprecated",
    ]


@pytest.mark.parametrize(
    ("text", "line", "message", "solution"),
    [
        ("platfroms: {}", 1, "unknown key platfroms", "did you mean platforms?"),
        ("platforms:\n  noot: x", 2, "unknown key noot in platforms", "did you mean not?"),
        ("a: 1", 1, "unknown key a", "known keys: autorebuild, build"),
        ("1: x", 1, "unknown key 1", "known keys: "),
    ],
)
def test_unknown_keys(text: str, line: int, message: str, solution: str) -> None:
    *found, mend = _one(text)
    assert found == ["yaml-unknown-key", line, message]
    assert mend.startswith(solution)


@pytest.mark.parametrize(
    ("text", "line", "message", "solution"),
    [
        ("tags:\n- a\n- 1.10", 3, "tags, item 2 is '1.10', a number; it must be text", 'put it in quotes: "1.10"'),
        ("tags: [2024-01-02]", 1, "tags, item 1 is '2024-01-02', a date; it must be text", '"2024-01-02"'),
        ("tags: [on]", 1, "tags, item 1 is 'on', a boolean; it must be text", 'put it in quotes: "on"'),
        ("tags: latest", 1, "tags is 'latest', text; it must be a list", "write it as a list: [latest]"),
        ("tags:", 1, "tags has no value; it must be a list", "add a value"),
        ("platforms: x86_64", 1, "platforms is 'x86_64', text; it must be a mapping", "KEY: VALUE"),
        ("\nplatforms: {only: 7}", 2, "platforms.only is '7', an integer; it must be text or a list", '"7"'),
        ("compose: {inherit: maybe}", 1, "compose.inherit is 'maybe', text; it must be true or false", "true or false"),
        (
            "compose:\n  multilib_method: [devil]",
            2,
            "compose.multilib_method, item 1 is 'devil'",
            "did you mean devel?",
        ),
        ("buildtime_limit: -1", 1, "buildtime_limit is -1; it must be at least 0", "change the number"),
        ("buildtime_limit: 1h", 1, "buildtime_limit is '1h', text; it must be an integer", "write an integer"),
        ("remote_sources_version: 3", 1, "remote_sources_version is 3; it must be at most 2", "change"),
        ("remote_source: {repo: x}", 1, "remote_source: ref required", "add ref: …"),
        ("remote_source: {repo: x, ref: main}", 1, "remote_source.ref is 'main', which", "use the full commit ID"),
        ("remote_sources: []", 1, "remote_sources is empty", "add a value"),
        (
            "operator_manifests: {manifests_dir: /etc}",
            1,
            "operator_manifests.manifests_dir is '/etc'",
            "without leading /",
        ),
        ("go: {modules: [{path: x}]}", 1, "go.modules, item 1: module required", "add module: …"),
        ("- a", 0, "the file is a list; it must be a mapping", "write KEY: VALUE"),
        ("a", 0, "the file is 'a', text; it must be a mapping", ""),
        ("? [a]\n: b", 1, "keys must be text", "write KEY: VALUE"),
        (
            f"remote_source: {{repo: x, ref: {'a' * 40}}}\ngo: {{}}",
            2,
            "remote_source and go are mutually exclusive",
            "keep",
        ),
    ],
)
def test_invalid_values(text: str, line: int, message: str, solution: str) -> None:
    code, where, said, mend = _one(text)
    assert (code, where) == ("yaml-invalid", line)
    assert said.startswith(message)
    assert solution in mend


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("platforms:\n\tonly: x", 2, "the line is indented with a tab"),
        ("platforms: [", 1, ""),
        ("a: 1\n---\nb: 1", 2, "start of a second document"),
        ("x: *y", 1, "undefined alias"),
        ("%YAML 1.3\n---\ntags: []", 0, "invalid YAML"),
        ('tags: ["\\UFFFFFFFF"]', 0, "invalid YAML"),
        ("tags: \x00", 0, "invalid YAML"),
        ("buildtime_limit: !!int x", 1, "'x' is not a valid int"),
        (f"flatpak:\n  a: -0x{'f' * 9000}", 2, "is not a valid int"),
        (f"flatpak:\n  a: {'9' * 9000}", 2, "is not a valid int"),
    ],
)
def test_invalid_yaml(text: str, line: int, message: str) -> None:
    code, where, said, _ = _one(text)
    assert code == "yaml-syntax"
    assert message in said
    assert where == line or message == ""


def test_duplicate_keys() -> None:
    assert _one("platforms: {}\nbuildtime_limit: 1\nplatforms: {only: x}")[:3] == (
        "yaml-duplicate-key",
        3,
        "duplicate key platforms, already on line 1",
    )


@pytest.mark.parametrize("tag", ["!!python/name:os.system", "!!python/object/apply:os.system", "!mine", "!!set"])
def test_yaml_tags_construct_no_objects(tag: str) -> None:
    codes = [code for code, *_ in _findings(f"flatpak: {{a: {tag} {{}}}}")]
    assert codes == ["yaml-tag"]


def test_merged_mappings_apply_without_overriding() -> None:
    read = ContainerYaml.from_text("flatpak: {a: &x {only: x86_64, not: b}}\nplatforms: {<<: *x, not: a}\n")
    assert (read.platforms.only, read.platforms.excluded) == (("x86_64",), ("a",))
    assert not [each for each in read.findings if each.severity == ERROR]


@pytest.mark.parametrize(
    "text",
    [
        "flatpak:\n  a0: &a0 [x]\n"
        + "".join(f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)),
        "flatpak: &a {b: *a}",
        "flatpak: &a [*a]",
        "flatpak: &a {<<: *a}",
        "flatpak: " + "[" * 5000,
        "flatpak: " + "[" * 60 + "]" * 60,
        "? " * 5000,
    ],
    ids=["bomb", "loop", "list-loop", "merge-loop", "deep-open", "deep", "deep-keys"],
)
def test_alias_bombs_and_loops_are_rejected(text: str) -> None:
    assert _one(text)[0] == "yaml-unreadable"


def test_invalid_image_tags_warn() -> None:
    found = [each for each in _findings("tags: [a b, .x, ok-1]\n", WARNING) if each[0] == "tag-invalid"]
    assert [message for _, _, message, _ in found] == [
        "tag 'a b' must consist of letters, digits and any of _ . -, and must not start with . or -",
        "tag '.x' must consist of letters, digits and any of _ . -, and must not start with . or -",
    ]


def test_keys_cannot_forge_output_lines() -> None:
    finding = ContainerYaml.from_text('"x\\ncontainer.yaml:1: all is well\\e[2J": 1').findings[0]
    assert len(str(finding).splitlines()) == 2
    assert "\x1b" not in str(finding)


def _unreadable(directory: Path) -> Finding:
    (finding,) = container_yaml.check(directory)
    assert (finding.code, finding.severity, finding.file) == ("yaml-unreadable", ERROR, "container.yaml")
    return finding


def test_a_directory(tmp_path: Path) -> None:
    (tmp_path / "container.yaml").mkdir()
    assert _unreadable(tmp_path).message == "container.yaml is not a regular file"


def test_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "container.yaml")
    assert _unreadable(tmp_path).message == "container.yaml is not a regular file"


@pytest.mark.parametrize("target", ["../secret", "nowhere", "container.yaml", "/etc/passwd"])
def test_links_out_of_the_checkout_and_broken_links(tmp_path: Path, target: str) -> None:
    (tmp_path / "secret").write_text("platforms: {}\n")
    directory = tmp_path / "checkout"
    directory.mkdir()
    (directory / "container.yaml").symlink_to(target)
    assert "is a broken symbolic link, or leads out" in _unreadable(directory).message


def test_link_within_the_checkout_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("platforms: {only: x86_64}\n")
    (tmp_path / "container.yaml").symlink_to("real")
    assert ContainerYaml.read(tmp_path).platforms.only == ("x86_64",)


def test_a_huge_file(tmp_path: Path) -> None:
    (tmp_path / "container.yaml").write_bytes(b"#" * (MAX_BYTES + 1))
    assert "larger than" in _unreadable(tmp_path).message


def test_invalid_utf8(tmp_path: Path) -> None:
    (tmp_path / "container.yaml").write_bytes(b"tags: []\nversion: \xff\n")
    assert _unreadable(tmp_path).message == "container.yaml is not UTF-8 text (line 2)"


def test_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "container.yaml").write_bytes(b"\xef\xbb\xbfplatforms: {only: x86_64}\r\n")
    assert ContainerYaml.read(tmp_path).platforms.only == ("x86_64",)
    assert container_yaml.check(tmp_path) == []


def test_similar_file_name_warns(tmp_path: Path) -> None:
    (tmp_path / "container.yml").write_text("platforms: {}\n")
    (finding,) = container_yaml.check(tmp_path)
    assert (finding.code, finding.severity, finding.file) == ("yaml-name", WARNING, "container.yml")


def test_codes_are_hyphenated_words() -> None:
    codes = {
        each.code
        for each in ContainerYaml.from_text("a: 1\ntags: [1, '?']\nversion: 1\nremote_sources_version: 1\n").findings
    }
    assert codes == {"yaml-unknown-key", "yaml-invalid", "tag-invalid", "yaml-deprecated", "yaml-ignored"}
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)+", code) for code in codes)


@pytest.mark.filterwarnings("error")
def test_no_python_warnings_besides_findings() -> None:
    assert ContainerYaml.from_text("%FOO bar\n---\nflatpak: {a: 1e-5}\n").values == {"flatpak": {"a": 1e-5}}


def test_checkout_rules_include_container_yaml(tmp_path: Path) -> None:
    (tmp_path / "container.yaml").write_text("a: 1\n")
    (tmp_path / "additional-tags").write_text("a b\n")
    found = {(each.code, each.file) for each in rules.check(read_nothing(tmp_path))}
    assert {("yaml-unknown-key", "container.yaml"), ("tag-invalid", "additional-tags")} <= found
