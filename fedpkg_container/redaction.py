# SPDX-License-Identifier: GPL-2.0-or-later
"""Removal of secrets from URLs, command lines and messages that are logged.

Secrets are passwords in URLs, query strings (presigned URLs, challenges), headers with credentials, tokens, and the
values of options and variables that are named after secrets. The results are single lines without control characters.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Union
from urllib.parse import urlsplit

from fedpkg_container.text import printable_line

#: Variable with the password of the key that signs images. Programs get it only if it is passed to them.
SIGNING_PASSWORD = "FEDPKG_CONTAINER_SIGNING_PASSWORD"  # noqa: S105
#: Replacement of a secret.
HIDDEN = "***"
#: Maximum lengths in characters: of a word of a command line, of a command line, and of a message.
MAX_WORD, MAX_COMMAND, MAX_MESSAGE = 200, 4000, 8000

#: Parts of such names; ``pass`` and ``pwd`` must be whole words (``DB_PASS``, not ``bypass``).
_WORDS = (
    r"passw|passphrase|secret|token|creds|credential|authorization|api[_-]?key|cookie"
    r"|(?<![^\W_])(?:pass|pwd)(?![^\W_])"
)
#: Names of options, variables and JSON members that hold secrets; bounded, so that matching takes linear time.
_MEMBER = rf"(?:[\w.-]{{0,40}}(?:{_WORDS})[\w.-]{{0,40}}|auth)"
_SENSITIVE = re.compile(_WORDS, re.IGNORECASE)
#: The form of an option or variable whose value is the next word, and of one before an equals sign.
_NAME = re.compile(r"-{1,2}[\w.-]{1,200}|[A-Za-z_]\w{0,200}")
_ASSIGNED_NAME = re.compile(r"[\w.-]{1,200}")
#: Options whose value contains a secret: a header, and the user and password of curl.
_HEADER_OPTIONS, _USER_OPTIONS = ("--header", "-H"), ("--user", "-u", "--proxy-user", "-U")
#: The user name and password of a URL, up to the last @ before its path.
_USERINFO = re.compile(r"(?<=//)[^/?#\s]*@")
#: The same of an address without a scheme (``http_proxy=user:password@host``); not the tag of NAME:TAG@DIGEST.
_BARE_USERINFO = re.compile(r"(?<![^\s'\"=(,])[^\s/@:'\"=]{1,200}:[^\s/@'\"]{1,200}@(?!sha[0-9]+:)")
#: A part of a message that may be a URL or a path with a query string.
_PART = re.compile(r"[^\s'\"<>]+")
#: A header with credentials or a challenge, up to the end of its line.
_HEADER = re.compile(r"((?:proxy-)?authorization|(?:set-)?cookie|(?:www|proxy)-authenticate)(['\"]?\s*[:=]\s*).*",
                     re.IGNORECASE | re.DOTALL)  # fmt: skip
#: Credentials of an HTTP authentication scheme.
_SCHEME = re.compile(r"\b(bearer|basic|negotiate)(\s+)[^\s'\",]+", re.IGNORECASE)
#: A name and a value in a message: ``password=…``, ``"token": "…"``; not the end of a path (``/token: HTTP 200``).
_PAIR = re.compile(
    rf"(?:(?<![\w./-])|(?<=/)(?={_MEMBER}=))({_MEMBER})(['\"]?\s*[=:]\s*)"
    r"(\"(?:[^\"\\]|\\.)*\"?|'(?:[^'\\]|\\.)*'?|[^\s,;&}]+)",
    re.IGNORECASE,
)
#: An option and its value as two words of a command line in a message, also as Python shows a list of words.
_OPTION = re.compile(
    rf"(?<![\w-])(--?[\w.-]{{0,40}}(?:{_WORDS})(?!-?file|-?path)[\w.-]{{0,40}})"
    r"(\s+|['\"],\s*)(['\"]?)[^\s'\",;-][^\s'\",;]*",
    re.IGNORECASE,
)

Word = Union[str, Path]


def redact_url(url: str) -> str:
    """Return a URL without user name, password, query string and fragment, as one line."""
    line = printable_line(url)
    for mark in "?#":
        line = line.partition(mark)[0]
    return _cut(_USERINFO.sub("", line), 2 * MAX_WORD)


def host_and_path(url: str) -> tuple[str, str]:
    """Return host and port of a URL, and its path without the query string; the host is empty in an invalid URL."""
    try:
        parts = urlsplit(redact_url(url))
    except ValueError:
        return "", ""
    return parts.netloc, parts.path or "/"


def redact_message(text: str) -> str:
    """Return a message as one line, without the credentials of URLs, query strings, headers and tokens."""
    line = printable_line(text)
    line = _USERINFO.sub("", line)
    line = _BARE_USERINFO.sub(f"{HIDDEN}@", line)
    line = _PART.sub(lambda part: _without_query(part[0]), line)
    line = _HEADER.sub(rf"\1\2{HIDDEN}", line)
    line = _SCHEME.sub(rf"\1\2{HIDDEN}", line)
    line = _PAIR.sub(rf"\1\2{HIDDEN}", line)
    line = _OPTION.sub(rf"\1\2\3{HIDDEN}", line)
    return _cut(line, MAX_MESSAGE)


def _without_query(part: str) -> str:
    """Return a URL without query string and fragment, or a path without a query string; other text unchanged."""
    address, mark, query = part.partition("?")
    if mark and "/" in address and ("//" in address or "=" in query):
        part = address
    if "//" in part:
        part = part.partition("#")[0]
    return part


def redact_command(arguments: Sequence[Word]) -> str:
    """Return a command line quoted for a shell, as one line without secrets; long words and lines are shortened.

    The middle of a long line is omitted: the line starts with the sandbox and ends with the program in it.
    """
    line = " ".join(map(_quoted, _redacted_words(arguments)))
    if len(line) <= MAX_COMMAND:
        return line
    return f"{line[: MAX_COMMAND // 4]} … {line[-3 * MAX_COMMAND // 4 :]}"


def _redacted_words(arguments: Sequence[Word]) -> Iterator[str]:
    """Yield the words of a command line without secrets."""
    option = ""
    for argument in arguments:
        word = str(argument)
        if _holds_secret(option, word, _NAME):
            yield HIDDEN
            option = ""
            continue
        names = _names_of_secret(word)
        yield f"{redact_message(names)}={HIDDEN}" if names else _cut(redact_message(word), MAX_WORD)
        option = word


def _names_of_secret(word: str) -> str:
    """Return the part of ``--option=NAME=value`` before a value that is a secret; empty if there is none."""
    start = 0
    while (end := word.find("=", start)) >= 0:
        if _holds_secret(word[start:end], word[end + 1 :], _ASSIGNED_NAME):
            return word[:end]
        start = end + 1
    return ""


def _holds_secret(name: str, value: str, form: re.Pattern[str]) -> bool:
    """Return whether the value of an option or variable is a secret as a whole.

    :param form: of names
    """
    if name in _USER_OPTIONS:
        return ":" in value
    return name in _HEADER_OPTIONS or bool(form.fullmatch(name) and _SENSITIVE.search(name))


def _quoted(word: str) -> str:
    return word if HIDDEN in word and not re.search(r"[\s'\"\\]", word) else shlex.quote(word)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
