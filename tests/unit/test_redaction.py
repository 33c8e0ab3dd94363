# SPDX-License-Identifier: GPL-2.0-or-later
"""Secrets do not get into the log: URLs, command lines and messages with planted ones."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedpkg_container.redaction import (
    HIDDEN,
    MAX_COMMAND,
    MAX_MESSAGE,
    MAX_WORD,
    host_and_path,
    redact_command,
    redact_message,
    redact_url,
)
from fedpkg_container.text import printable_line

#: Starts with a mark by which it is found, and continues with characters that a URL may contain in a password.
SECRET = st.text("abcXYZ0189-._~!$*", max_size=12).map(lambda rest: f"Pl4nt3d{rest}")
WORD = st.text(st.characters(codec="utf-8", exclude_characters="="), max_size=20)

#: How a secret gets into a command line.
IN_COMMAND: list[Callable[[str], list[str]]] = [
    lambda secret: ["skopeo", "copy", f"--src-creds=user:{secret}", "docker://host/image"],
    lambda secret: ["skopeo", "copy", "--dest-creds", f"user:{secret}", "docker://host/image"],
    lambda secret: ["skopeo", "login", "--password", secret],
    lambda secret: ["git", "fetch", f"https://user:{secret}@host/repository#commit"],
    lambda secret: ["git", "fetch", f"https://{secret}@host/repository"],
    lambda secret: ["env", f"https_proxy=http://user:{secret}@proxy:3128", "git", "fetch"],
    lambda secret: ["env", f"ALL_PROXY=user:{secret}@proxy:3128", "git", "fetch"],
    lambda secret: ["env", f"GITLAB_TOKEN={secret} and more", "git", "fetch"],
    lambda secret: ["bwrap", "--setenv", "API_KEY", secret, "--", "sh"],
    lambda secret: ["buildah", "build", f"--build-arg=ACCESS_TOKEN={secret} {secret}", "."],
    lambda secret: ["curl", "-u", f"user:{secret}", "https://host/"],
    lambda secret: ["curl", f"--user=user:{secret}", "https://host/"],
    lambda secret: ["curl", "-H", f"Authorization: Bearer {secret}", "https://host/"],
    lambda secret: ["curl", f"--header=X-Registry-Auth: {secret}", "https://host/"],
    lambda secret: ["curl", f"https://storage/blob?X-Amz-Signature={secret}&x=1"],
    lambda secret: ["curl", f"https://storage/blob#{secret}"],
    lambda secret: ["sh", "-c", f"curl -H 'Authorization: Basic {secret}' https://host/"],
    lambda secret: ["sh", "-c", f"cd / && password={secret} program"],
    lambda secret: ["env", f"x-auth-token={secret} {secret}"],
    lambda secret: ["env", f"DB_PASS={secret}", f"MYSQL_PWD={secret}", f"pass={secret}", "program"],
    lambda secret: ["program", "--pass", secret, f"--db-pwd={secret}"],
    lambda secret: ["sh", "-c", f"cd / && pwd={secret} program"],
]
#: How a secret gets into a message.
IN_MESSAGE: list[Callable[[str], str]] = [
    lambda secret: f"cannot fetch https://user:{secret}@host/path: HTTP 403",
    lambda secret: f"GET https://storage/blob?signature={secret}: HTTP 403",
    lambda secret: f'https://storage:443 "GET /blob?X-Amz-Signature={secret}&a=b HTTP/1.1" 403',
    lambda secret: f"headers: {{'Authorization': 'Bearer {secret}', 'Accept': 'text/plain'}}",
    lambda secret: f"Authorization: Basic {secret}",
    lambda secret: f"cannot connect with user=me pass={secret} to db",
    lambda secret: f'{{"pwd": "{secret}", "db_pass": "{secret}"}}',
    lambda secret: f"Proxy-Authorization: Basic {secret}",
    lambda secret: f'WWW-Authenticate: Bearer realm="https://auth/token",service="{secret}"',
    lambda secret: f'the server answered {{"token": "{secret}", "expires_in": 300}}',
    lambda secret: f'{{"auths": {{"host": {{"auth": "{secret}"}}}}}}',
    lambda secret: f'{{"auths": {{"host": {{"identitytoken": "{secret}"}}}}}}',
    lambda secret: f"login failed: password={secret}, user=packager",
    lambda secret: f"cannot connect to proxy packager:{secret}@proxy:3128",
    lambda secret: f"the registry refused Bearer {secret} for hello-web",
    lambda secret: f"Set-Cookie: session={secret}",
    lambda secret: f"cannot read /run/password={secret}",
]


@given(
    form=st.sampled_from(IN_COMMAND), secret=SECRET, before=st.lists(WORD, max_size=3), after=st.lists(WORD, max_size=3)
)
def test_no_secret_of_a_command_line_is_logged(
    form: Callable[[str], list[str]], secret: str, before: list[str], after: list[str]
) -> None:
    shown = redact_command([*before, *form(secret), *after])
    assert "Pl4nt3d" not in shown
    assert shown == printable_line(shown)


@given(form=st.sampled_from(IN_MESSAGE), secret=SECRET, before=WORD, after=WORD)
def test_no_secret_of_a_message_is_logged(form: Callable[[str], str], secret: str, before: str, after: str) -> None:
    shown = redact_message(f"{before} {form(secret)} {after}")
    assert "Pl4nt3d" not in shown
    assert shown == printable_line(shown)


@given(secret=SECRET, path=st.from_regex(r"[a-z]+(/[a-z~:@._-]+){0,5}", fullmatch=True))
def test_no_secret_of_a_url_is_logged(secret: str, path: str) -> None:
    url = f"https://user:{secret}@host:8443/{path}?token={secret}#{secret}"
    assert redact_url(url) == f"https://host:8443/{path}"
    assert host_and_path(url) == ("host:8443", f"/{path}")


@given(text=st.text(max_size=200))
def test_everything_is_one_line(text: str) -> None:
    for shown in (redact_message(text), redact_command([text, text]), redact_url(text)):
        assert shown == printable_line(shown)
        assert shown.isascii() or shown.splitlines() == [shown]


@given(words=st.lists(st.text("abcdef/:.-_@ '\"", max_size=12), min_size=1, max_size=6))
def test_a_command_line_without_secrets_can_be_pasted_into_a_shell(words: list[str]) -> None:
    if not any("@" in word for word in words):
        assert shlex.split(redact_command(words)) == words


@pytest.mark.parametrize(
    "text",
    [
        "pulling registry.example.org:5000/hello-web:1.0-1@sha256:0123",
        "GET https://registry.example.org/v2/hello-web/manifests/latest: HTTP 404",
        "the registry issued no token for hello-web (HTTP 403)",
        "kept: the tag latest belongs to hello-web-1.0-2",
        "is it there? yes: a=b",
        "GET registry.example.org /token: HTTP 200 after 0.02 s",
        "git@host:path and container/hello-web#main",
    ],
)
def test_other_messages_are_unchanged(text: str) -> None:
    assert redact_message(text) == text


def test_other_arguments_are_unchanged() -> None:
    assert redact_command(["docker-credential-vault", "get"]) == "docker-credential-vault get"
    words: list[str | Path] = [
        "skopeo",
        "copy",
        "--authfile",
        "/etc/auth.json",
        "docker://host/a:1@sha256:01",
        Path("/a b"),
    ]
    assert redact_command(words) == "skopeo copy --authfile /etc/auth.json docker://host/a:1@sha256:01 '/a b'"


def test_of_a_long_command_line_both_ends_are_shown() -> None:
    shown = redact_command(["bwrap", *(["--ro-bind", "/usr", "/usr"] * 1000), "buildah", "build"])
    assert shown.startswith("bwrap --ro-bind")
    assert shown.endswith("buildah build")
    assert len(shown) <= MAX_COMMAND + 3
    assert len(redact_command(["x" * 10**6])) <= MAX_WORD + 2
    assert len(redact_message("x" * 10**6)) <= MAX_MESSAGE


def test_an_option_hides_one_word() -> None:
    assert redact_command(["a", "--password", "x", "b", "-u", "c", "-u", "d:e"]) == (
        f"a --password {HIDDEN} b -u c -u {HIDDEN}"
    )


@pytest.mark.parametrize(
    "text",
    [
        'token="\\"SECRET"',
        '{"password": "a\\" SECRET", "user": "me"}',
        "the command --password SECRET failed",
        "Command '['skopeo', '--src-registry-token', 'SECRET']' failed",
    ],
)
def test_escaped_quotes_and_options_in_messages(text: str) -> None:
    shown = redact_message(text)
    assert "SECRET" not in shown
    assert "***" in shown


def test_a_file_of_secrets_is_named() -> None:
    assert redact_message("reading --token-file /etc/token") == "reading --token-file /etc/token"
