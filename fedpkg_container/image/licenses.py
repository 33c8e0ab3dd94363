"""The License header of an RPM as an SPDX expression."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass, field

from boolean import ParseError
from license_expression import ExpressionError, Licensing, build_spdx_licensing, get_license_index

from fedpkg_container.text import printable_line

NOASSERTION = "NOASSERTION"
_REFERENCE = "LicenseRef-"
#: The longest header that is read as an expression; longer ones are kept as text.
_LONGEST = 4096


@dataclass
class Licenses:
    """Licenses of one document.

    :param texts: what the document must say about licenses that SPDX does not list: reference → text
    """

    texts: dict[str, str] = field(default_factory=dict)

    def declared(self, header: str) -> str:
        """What the document says is declared.

        An SPDX expression stays one (Fedora has written these since 2022); names that a distribution made
        (``LicenseRef-Fedora-Public-Domain``) are explained in the document. Anything else, the older "GPLv2+ and
        BSD" for one, is not guessed at: it becomes a reference of its own, with the header as its text.
        """
        header = printable_line(header).strip()
        if not header:
            return NOASSERTION
        read = _read(header)
        if read is not None:
            expression, references = read
            for name in references:
                self.texts.setdefault(name, f"The License header of an RPM names {name}; the RPM has its text.")
            return expression
        name = f"{_REFERENCE}RPM-{hashlib.sha256(header.encode()).hexdigest()[:16]}"
        self.texts.setdefault(name, header)
        return name


@functools.lru_cache(maxsize=1)
def _spdx() -> Licensing:
    """SPDX's list alone: the index also has ScanCode's names, and takes those of distributions for them."""
    listed = [each for each in get_license_index() if not str(each.get("spdx_license_key")).startswith(_REFERENCE)]
    return build_spdx_licensing(listed)


@functools.lru_cache(maxsize=4096)
def _read(header: str) -> tuple[str, tuple[str, ...]] | None:
    """A header as an expression with SPDX's spelling, and the references in it; None when it is none."""
    if len(header) > _LONGEST:
        return None
    licensing = _spdx()
    try:
        parsed = licensing.parse(header, strict=True)
        unknown = licensing.unknown_license_keys(parsed)
        names = licensing.license_keys(parsed)
    except (ExpressionError, ParseError, RecursionError):
        return None
    references = tuple(sorted({name for name in names if name.startswith(_REFERENCE)}))
    if set(unknown) - set(references) or any(not _legal(name) for name in references):
        return None
    return str(parsed), references


def _legal(reference: str) -> bool:
    """Whether SPDX takes it: letters, digits, dots and dashes."""
    return all(each.isascii() and (each.isalnum() or each in ".-") for each in reference)
