# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds and runs the hub's calls: permissions, arguments, transactions."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar
from xml.parsers.expat import ExpatError

import koji
import koji.plugin
import koji.xmlrpcplus
from koji.context import context

from fedpkg_container.box.hub.database import Database
from fedpkg_container.box.hub.kinds import xml_text
from fedpkg_container.box.hub.parameters import MEMBERS, Signature, assert_plain

_log = logging.getLogger(__name__)

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Call:
    """One call of the hub.

    :param used_by: its callers, for docs/internals/hub-methods.md
    :param signature: its parameters
    """

    name: str
    function: Callable[..., Any]
    used_by: str
    signature: Signature


CALLS: dict[str, Call] = {}


def call(name: str, *, used_by: str) -> Callable[[Function], Function]:
    """Register a function under Koji's call name; its parameters have Koji's names too."""

    def register(function: Function) -> Function:
        CALLS[name] = Call(name, function, used_by, Signature(function))
        return function

    return register


class Session(Protocol):
    """The caller's session: ``context.session`` of plugins."""

    id: int | None
    user_id: int | None
    logged_in: bool

    def hasPerm(self, name: str) -> bool:  # noqa: N802
        """Whether the user has a permission."""
        ...

    def validate(self) -> bool:
        """Refuse if another session holds this user exclusively."""
        ...


def database() -> Database:
    """The database, inside a call."""
    hub_database: Database = context.database
    return hub_database


def wake_builders() -> None:
    """Have the builders poll as soon as the current call's changes are stored."""
    context.wakes_builders = True


def topdir() -> Path:
    """Root of builds, repositories and task output, inside a call (KojiDir)."""
    return Path(context.opts["KojiDir"])


#: Calls allowed while another session holds the user exclusively: they take the lock, or log in or out.
_UNLOCKED = {"exclusiveSession", "login", "logout"}


def run(name: str, parameters: Sequence[Any]) -> Any:
    """Run one call inside the current transaction.

    :param parameters: as received over XML-RPC, named ones packed by ``koji.encode_args``
    :raises koji.GenericError: the fault for the caller
    """
    assert_plain(parameters)
    if name == "multiCall":
        return _multicall(parameters)
    entry = CALLS.get(name)
    if entry is None:
        raise koji.GenericError(f"Invalid method: {name}")
    if name not in _UNLOCKED:
        context.session.validate()
    arguments, named = koji.decode_args(*parameters)
    bound = entry.signature.bind(arguments, named)
    return entry.function(*bound.args, **bound.kwargs)


def _multicall(parameters: Sequence[object]) -> list[Any]:
    """Run several calls in one request; a failed one is undone alone."""
    if len(parameters) != 1:
        raise koji.ParameterError(f"multiCall() takes 1 argument, got {len(parameters)}")
    results: list[Any] = []
    for member in MEMBERS.convert(parameters[0]):
        try:
            with database().savepoint():
                results.append([run(member["methodName"], member["params"])])
        except Exception as error:  # noqa: BLE001, any exception of a member becomes its fault
            code, text = fault_of(error)
            lines = traceback.format_exception(type(error), error, error.__traceback__)
            results.append({"faultCode": code, "faultString": text, "traceback": lines})
    return results


#: Exceptions of parsing invalid XML-RPC.
UNREADABLE = (
    *(koji.xmlrpcplus.xmlrpc_client.Error, ExpatError, ValueError, LookupError, TypeError, ArithmeticError),
    *(AttributeError, AssertionError),
)


def exception_fault(error: Exception) -> koji.xmlrpcplus.Fault:
    """Fault for an exception that Koji does not catch: number 1, type and text."""
    return koji.xmlrpcplus.Fault(1, f"{type(error)}: {error}")


def fault_of(error: Exception) -> tuple[int, str]:
    """The hub's fault for an exception: koji's own number and message, or 1 for any other."""
    if isinstance(error, koji.xmlrpcplus.Fault):
        return error.faultCode, xml_text(str(error.faultString))
    if isinstance(error, koji.GenericError):
        return error.faultCode, xml_text(str(error))
    _log.error("unexpected error", exc_info=error)
    return 1, xml_text(f"{type(error)}: {error}")


def load_plugins(paths: Sequence[Path], names: Sequence[str]) -> None:
    """Load hub plugins by file name and register their exported functions."""
    tracker = koji.plugin.PluginTracker(path=[str(path) for path in paths])
    for name in names:
        plugin = tracker.load(name)
        for function in vars(plugin).values():
            if callable(function) and getattr(function, "exported", False):
                exported = getattr(function, "export_alias", None) or function.__name__
                CALLS[exported] = Call(exported, function, f"plugin {name}", Signature(function, typed=False))
