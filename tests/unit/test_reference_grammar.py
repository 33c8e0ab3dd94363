# SPDX-License-Identifier: GPL-2.0-or-later
"""Image references against distribution's grammar: references from it are parsed, violations are rejected.

The grammar is written again here, as strategies that generate texts, after the comment at the top of distribution's
``reference.go``; nothing of it comes from the tested code.
"""

from __future__ import annotations

import string
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedpkg_container.errors import RegistryError, UsageError
from fedpkg_container.model.nvr import repository_problem
from fedpkg_container.model.reference import ImageReference, is_tag
from fedpkg_container.registry.digests import ALGORITHMS, validate_digest

_LETTERS, _DIGITS, _HEX = string.ascii_letters, string.digits, "0123456789abcdefABCDEF"


def _text(alphabet: str, least: int = 1, most: int = 8) -> st.SearchStrategy[str]:
    return st.text(alphabet, min_size=least, max_size=most)


def _joined(parts: st.SearchStrategy[str], separators: st.SearchStrategy[str], most: int = 3) -> st.SearchStrategy[str]:
    rest = st.lists(st.tuples(separators, parts).map("".join), max_size=most)
    return st.tuples(parts, rest.map("".join)).map("".join)


# domain-component := /([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])/
_DOMAIN_COMPONENT = st.one_of(
    _text(_LETTERS + _DIGITS, most=1),
    st.tuples(
        _text(_LETTERS + _DIGITS, most=1), _text(_LETTERS + _DIGITS + "-", least=0), _text(_LETTERS + _DIGITS, most=1)
    ).map("".join),
)
_NAMES = _joined(_DOMAIN_COMPONENT, st.just("."))
# Python 3.13 writes ::ffff:0.0.0.0, and the grammar has no dots there.
_IPV6 = st.ip_addresses(v=6).map(str).filter(lambda address: "." not in address).map("[{}]".format)
_IPV4 = st.ip_addresses(v=4).map(str)
_PORT = st.one_of(st.just(""), _text(_DIGITS, most=5).map(lambda port: f":{port}"))
_HOST = st.one_of(_NAMES, _IPV4, _IPV6, st.just("localhost"), st.just("LOCALHOST"), st.just("Registry.Example.ORG"))
# path-component := alpha-numeric [separator alpha-numeric]*; separator := /[_.]|__|[-]*/
_ALPHA_NUMERIC = _text(string.ascii_lowercase + _DIGITS)
_SEPARATOR = st.one_of(st.sampled_from([".", "_", "__"]), _text("-", most=4))
_COMPONENT = _joined(_ALPHA_NUMERIC, _SEPARATOR)
_PATH = _joined(_COMPONENT, st.just("/")).filter(lambda path: len(path) <= 255)
# tag := /[\w][\w.-]{0,127}/
_TAG = st.tuples(_text(_LETTERS + _DIGITS + "_", most=1), _text(_LETTERS + _DIGITS + "_.-", 0, 127)).map("".join)
_ALGORITHM = _joined(
    st.tuples(_text(_LETTERS, most=1), _text(_LETTERS + _DIGITS, least=0)).map("".join), st.sampled_from("+._-")
)
_DIGEST = st.tuples(_ALGORITHM, _text(_HEX, 32, 128)).map(":".join)


@dataclass(frozen=True)
class Parts:
    """The parts of a reference."""

    registry: str
    path: str
    tag: str
    digest: str

    def __str__(self) -> str:
        name = f"{self.registry}/{self.path}" if self.registry else self.path
        return name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def _is_registry(text: str) -> bool:
    """Whether docker's clients and skopeo interpret the first component of a name as a registry."""
    return "." in text or ":" in text or text == "localhost" or text != text.lower()


_REGISTRY = st.tuples(_HOST, _PORT).map("".join).filter(_is_registry)
_LEGAL = st.builds(Parts, _REGISTRY, _PATH, st.one_of(st.just(""), _TAG), st.one_of(st.just(""), _DIGEST))
_LOCAL = st.builds(Parts, st.just(""), _PATH, st.one_of(st.just(""), _TAG), st.one_of(st.just(""), _DIGEST)).filter(
    lambda parts: "/" not in parts.path or not _is_registry(parts.path.partition("/")[0])
)


@given(st.one_of(_LEGAL, _LOCAL))
def test_references_from_the_grammar_are_parsed(parts: Parts) -> None:
    found = ImageReference.parse(str(parts))
    assert (found.registry, found.repository, found.tag, found.digest) == (
        parts.registry, parts.path, parts.tag, parts.digest
    )  # fmt: skip
    assert str(found) == str(parts)
    assert ImageReference.parse(str(found.tagged("x"))).tag == "x"


@given(
    _LEGAL,
    st.sampled_from(" \t\n\0!\"#$%&'()*+,;<=>?\\^`{|}~\N{LATIN SMALL LETTER A WITH ACUTE}\N{ARABIC-INDIC DIGIT ONE}"),
    st.data(),
)
def test_invalid_characters_are_rejected(parts: Parts, character: str, data: st.DataObject) -> None:
    text = str(Parts(parts.registry, parts.path, parts.tag, ""))  # digests may have a plus sign
    place = data.draw(st.integers(0, len(text)))
    with pytest.raises(UsageError, match="not an image reference"):
        ImageReference.parse(text[:place] + character + text[place:])


def _broken(parts: Parts) -> dict[str, str]:
    """Texts that violate the grammar in one place each."""
    registry, path = parts.registry, parts.path
    return {
        "an upper-case path": f"{registry}/{path}/A",
        "an empty component": f"{registry}//{path}",
        "a slash at the end": f"{registry}/{path}/",
        "three underscores": f"{registry}/{path}___a",
        "two dots": f"{registry}/{path}..a",
        "two kinds of separators": f"{registry}/{path}_-a",
        "a separator at the end": f"{registry}/{path}-",
        "a separator at the start": f"{registry}/.{path}",
        "an empty tag": f"{registry}/{path}:",
        "a tag that starts with a dot": f"{registry}/{path}:.a",
        "a tag that starts with a dash": f"{registry}/{path}:-a",
        "a tag of 129 characters": f"{registry}/{path}:{'a' * 129}",
        "two tags": f"{registry}/{path}:a:b",
        "an empty digest": f"{registry}/{path}@",
        "a digest of 31 digits": f"{registry}/{path}@sha256:{'0' * 31}",
        "a digest that is not hexadecimal": f"{registry}/{path}@sha256:{'g' * 64}",
        "an algorithm that starts with a digit": f"{registry}/{path}@2sha:{'0' * 64}",
        "an algorithm with two separators": f"{registry}/{path}@sha+.256:{'0' * 64}",
        "a digest before the tag": f"{registry}/{path}@sha256:{'0' * 64}:a",
        "two digests": f"{registry}/{path}@sha256:{'0' * 64}@sha256:{'0' * 64}",
        "a path of 256 characters": f"{registry}/{'a' * 256}",
        "no path": f"{registry}/",
        "a port that is not a number": f"host:http/{path}",
        "an empty port": f"host.example:/{path}",
        "a host that starts with a dash": f"-host.example/{path}",
        "a host that ends with a dash": f"host-.example/{path}",
        "a host with two dots": f"host..example/{path}",
        "a host that ends with a dot": f"host.example./{path}",
        "an address without brackets": f"::1/{path}",
        "an address in half of its brackets": f"[::1/{path}",
        "a zone": f"[fe80::1%eth0]/{path}",
        "a scheme": f"https://{registry}/{path}",
        "a user": f"user@{registry}/{path}",
    }


@given(_LEGAL)
def test_grammar_violations_are_rejected(parts: Parts) -> None:
    accepted = {}
    for kind, text in _broken(parts).items():
        try:
            accepted[kind] = ImageReference.parse(text)
        except UsageError as error:
            assert "not an image reference" in error.reason
    assert accepted == {}


@given(st.lists(_COMPONENT, min_size=1, max_size=60).map("/".join))
def test_paths_are_limited_to_255_characters(path: str) -> None:
    if len(path) <= 255:
        assert ImageReference.parse(f"r.example/{path}").repository == path
        assert not repository_problem(path) or path.split("/")[0] == "staging"
    else:
        with pytest.raises(UsageError):
            ImageReference.parse(f"r.example/{path}")


@given(_TAG)
def test_tags_from_the_grammar_are_valid(tag: str) -> None:
    assert is_tag(tag)


@given(st.sampled_from(sorted(ALGORITHMS.items())), st.data())
def test_supported_digests(algorithm: tuple[str, int], data: st.DataObject) -> None:
    name, length = algorithm
    digits = data.draw(_text("0123456789abcdef", length, length))
    assert validate_digest(f"{name}:{digits}") == f"{name}:{digits}"
    for wrong in (digits[1:], digits + "0", digits.upper() + "G", f"/{digits[1:]}", "../" + digits[3:]):
        with pytest.raises(RegistryError, match="invalid or unsupported digest"):
            validate_digest(f"{name}:{wrong}")


@given(_DIGEST.filter(lambda digest: digest.partition(":")[0] not in ALGORITHMS))
def test_digests_with_unsupported_algorithms(digest: str) -> None:
    with pytest.raises(RegistryError, match="invalid or unsupported digest"):
        validate_digest(digest)
