# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls about the hub's own calls."""

from __future__ import annotations

import inspect

from fedpkg_container.box.hub.database import Row
from fedpkg_container.box.hub.dispatch import CALLS, Call, call


def _description(each: Call) -> str:
    return inspect.getdoc(each.function) or ""


def _parameters(each: Call) -> str:
    """The parameters with their defaults, without types."""
    parameters = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in each.signature.signature.parameters.values()
    ]
    return str(inspect.Signature(parameters))


@call("_listapi", used_by="koji list-api")
def list_api() -> list[Row]:
    """All calls, with their parameters and descriptions."""
    return [
        {
            "name": each.name,
            "doc": _description(each),
            "args": list(each.signature.signature.parameters),
            "argdesc": _parameters(each),
        }
        for each in CALLS.values()
    ]


@call("system.listMethods", used_by="koji call system.listMethods")
def list_methods() -> list[str]:
    """Names of all calls."""
    return list(CALLS)


@call("system.methodHelp", used_by="koji list-api NAME")
def method_help(method: str) -> str | None:
    """Parameters and description of a call; None if there is no such call."""
    each = CALLS.get(method)
    return f"{method}{_parameters(each)}\ndescription: {_description(each)}" if each else None
