"""Values as YAML in one line, which means the same in YAML 1.1 and 1.2, in a list and out of one."""

from __future__ import annotations

import json
import re
from typing import Any

#: Text that needs no quotes, as far as its letters go.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./+-]*")
#: Text that means something else without quotes, in lower case.
_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}


def render(value: Any) -> str:
    """A plain value (text, number, truth value, None, list, mapping) in YAML's flow style."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text(key)}: {render(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(render(each) for each in value) + "]"
    raise TypeError(f"no plain value: {type(value).__name__}")


def _float(value: float) -> str:
    text = repr(value)
    if text in ("inf", "-inf", "nan"):
        return text.replace("inf", ".inf").replace("nan", ".nan")
    mantissa, exponent, power = text.partition("e")
    # YAML 1.1 wants a point and a sign: 1.0e+16.
    signed = power if power.startswith("-") or not power else f"+{power.removeprefix('+')}"
    return f"{mantissa if '.' in mantissa else f'{mantissa}.0'}{exponent}{signed}"


def _text(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(each if each.isprintable() else _escape(each) for each in quoted)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
