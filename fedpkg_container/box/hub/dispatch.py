"""Finding and running the hub's calls: who may, with which arguments, inside which transaction."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import koji
import koji.plugin
import koji.util
import koji.xmlrpcplus
from koji.context import context

from fedpkg_container.box.hub.database import Database

logger = logging.getLogger(__name__)

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Call:
    """One call of the hub.

    :param used_by: who makes it, for docs/hub-methods.md
    """

    name: str
    function: Callable[..., Any]
    used_by: str


CALLS: dict[str, Call] = {}


def call(name: str, *, used_by: str) -> Callable[[Function], Function]:
    """Offer a function under Koji's name of the call; its parameters have Koji's names too."""

    def register(function: Function) -> Function:
        CALLS[name] = Call(name, function, used_by)
        return function

    return register


class Session(Protocol):
    """Who is calling: what plugins see as ``context.session``."""

    id: int | None
    user_id: int | None
    logged_in: bool

    def hasPerm(self, name: str) -> bool:  # noqa: N802
        """Whether the user has a permission."""
        ...

    def validate(self) -> bool:
        """Refuse when another session holds this user exclusively."""
        ...


def database() -> Database:
    """The database, inside a call."""
    found: Database = context.database
    return found


def topdir() -> Path:
    """Where builds, repositories and task output are, inside a call (KojiDir)."""
    return Path(context.opts["KojiDir"])


#: Calls that a session may make while another one holds its user exclusively: how one gets the lock, or leaves.
_UNLOCKED = {"exclusiveSession", "login", "logout"}


def run(name: str, parameters: Sequence[Any]) -> Any:
    """Run one call inside the current transaction.

    :param parameters: as they came over XML-RPC, named ones packed by ``koji.encode_args``
    :raises koji.GenericError: the fault for the caller
    """
    if name == "multiCall":
        return _multicall(*parameters)
    entry = CALLS.get(name)
    if entry is None:
        raise koji.GenericError(f"Invalid method: {name}")
    if name not in _UNLOCKED:
        context.session.validate()
    arguments, named = koji.decode_args(*parameters)
    return koji.util.call_with_argcheck(entry.function, arguments, named)


def _multicall(calls: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Several calls in one request; a member that fails is undone alone."""
    results: list[Any] = []
    for member in calls:
        try:
            with database().savepoint():
                results.append([run(member["methodName"], member["params"])])
        except Exception as error:  # noqa: BLE001, whatever a member raises becomes its fault
            code, text = fault_of(error)
            lines = traceback.format_exception(type(error), error, error.__traceback__)
            results.append({"faultCode": code, "faultString": text, "traceback": lines})
    return results


def fault_of(error: Exception) -> tuple[int, str]:
    """The fault that a hub answers an exception with: koji's own number and message, 1 for anything else."""
    if isinstance(error, koji.xmlrpcplus.Fault):
        return error.faultCode, error.faultString
    if isinstance(error, koji.GenericError):
        return error.faultCode, str(error)
    logger.error("unexpected error", exc_info=error)
    return 1, f"{type(error)}: {error}"


def load_plugins(paths: Sequence[Path], names: Sequence[str]) -> None:
    """Load hub plugins by file name and offer the functions that they export."""
    tracker = koji.plugin.PluginTracker(path=[str(path) for path in paths])
    for name in names:
        plugin = tracker.load(name)
        for function in vars(plugin).values():
            if callable(function) and getattr(function, "exported", False):
                exported = getattr(function, "export_alias", None) or function.__name__
                CALLS[exported] = Call(exported, function, f"plugin {name}")
