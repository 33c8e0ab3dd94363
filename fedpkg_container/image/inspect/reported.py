# SPDX-License-Identifier: GPL-2.0-or-later
"""The description of an image that a pod reports: what the registry cannot confirm, in the expected form.

A pod that was taken over by its build can write anything into it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fedpkg_container.errors import BuildFailedError
from fedpkg_container.image.inspect.rpms import MAX_FIELD_LENGTH
from fedpkg_container.model.build import BuiltImage, check_format
from fedpkg_container.text import printable_line, reason_text

_TEXT = {"type": "string", "maxLength": MAX_FIELD_LENGTH}
_TEXTS = {"type": "object", "additionalProperties": _TEXT, "maxProperties": 100}
_DIGEST = {"type": "string", "pattern": r"\Asha256:[0-9a-f]{64}\Z"}
_RPM = {
    "type": "object",
    "properties": {
        **dict.fromkeys(("type", "name", "version", "release", "arch", "sigmd5"), _TEXT),
        "epoch": {"type": ["integer", "null"], "minimum": 0, "maximum": 2**31 - 1},
        "signature": {**_TEXT, "type": ["string", "null"]},
    },
    "required": ["type", "name", "version", "release", "epoch", "arch", "sigmd5", "signature"],
    "additionalProperties": False,
}
_PROGRAM = {
    "type": "object",
    "properties": {"name": _TEXT, "version": _TEXT},
    "required": ["name", "version"],
    "additionalProperties": False,
}
_SCHEMA = {
    "type": "object",
    "properties": {
        "arch": _TEXT,
        "staged_image": _TEXT,
        "digest": _DIGEST,
        "components": {"type": "array", "items": _RPM},
        "details": {"type": "array", "items": _TEXTS},
        "buildroot": {
            "type": "object",
            "properties": {
                "host": _TEXTS,
                "content_generator": _PROGRAM,
                "container": _TEXTS,
                "tools": {"type": "array", "items": _PROGRAM, "maxItems": 100},
                "components": {"type": "array", "items": _RPM},
            },
            "required": ["host", "content_generator", "container", "tools", "components"],
            "additionalProperties": False,
        },
        "parent_id": {"anyOf": [_DIGEST, {"const": ""}]},
        "warnings": {"type": "array", "items": _TEXT, "maxItems": 100},
        "distribution": _TEXTS,
        "variants": {"type": "object", "additionalProperties": _DIGEST, "maxProperties": 10},
    },
    "required": ["arch", "staged_image", "digest", "components", "details", "buildroot"],
}


def read_reported(path: Path, arch: str) -> BuiltImage:
    """Read the description of an image.

    :param arch: of the pod, for errors
    :raises BuildFailedError: if it is not valid
    :raises UsageError: if it has another format version
    """
    import jsonschema

    try:
        packed: Any = json.loads(path.read_bytes().decode("utf-8", "surrogatepass"))
        if isinstance(packed, dict):
            check_format(BuiltImage.__name__, packed)
        error = next(jsonschema.Draft7Validator(_SCHEMA).iter_errors(packed), None)
        if error is None:
            return BuiltImage.unpack(packed)
        problem = f"{'.'.join(map(str, error.absolute_path)) or 'the description'} is invalid ({error.validator})"
    except (ValueError, TypeError, RecursionError) as failure:
        problem = reason_text(failure)
    raise BuildFailedError(f"the pod for {arch} returned an invalid image description: {printable_line(problem[:300])}")
