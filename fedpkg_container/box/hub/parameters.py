# SPDX-License-Identifier: GPL-2.0-or-later
"""Types of the calls' parameters: calls declare them in annotations, and ``dispatch`` checks them before a call runs.

An annotation is the name of a type (``int``, ``str``, ``bool``, ``float``, ``Row``), ``list[…]`` of one, an alias of
this module, or several of them separated by ``|``. A call receives checked and converted values: ``12`` as text is
the number 12, as in Koji, and other text is refused.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Union

import koji
import koji.util

from fedpkg_container.box.hub.kinds import (
    MAX_CONTENT,
    MAX_DEPTH,
    MAX_NAME,
    MAX_PRIORITY,
    AnyOf,
    Exactly,
    Fields,
    Flag,
    Integer,
    Kind,
    ListOf,
    Maybe,
    Number,
    Opaque,
    Seconds,
    Text,
    shown,
)

_NAME = re.compile(r"[A-Za-z0-9/_.+@:-]+")


def _no_lookup(value: object) -> koji.GenericError:
    return koji.ParameterError(f"Invalid name or id value: {shown(value)}")


def _no_user(value: object) -> koji.GenericError:
    return koji.GenericError(f"Invalid type for userInfo: {type(value)}")


def _no_build(value: object) -> koji.GenericError:
    return koji.GenericError(f"Invalid type for argument: {type(value)!r}")


def _no_rpm(value: object) -> koji.GenericError:
    return koji.GenericError(f"Invalid type for rpminfo: {type(value)!r}")


def _no_arches(value: object) -> koji.GenericError:
    return koji.GenericError(f'Invalid type for "arches" parameter: {type(value)}')


def _no_host_data(_value: object) -> koji.GenericError:
    return koji.ParameterError("Host data should be a dictionary")


@dataclass(frozen=True)
class _Named:
    """A dictionary with a row's ID or name."""

    def convert(self, value: object) -> dict[str, Any]:
        row = Fields({"id": Maybe(Integer()), "name": Maybe(Exactly())}).convert(value)
        if row.get("id") is None and row.get("name") is None:
            raise _no_lookup(value)
        return row


_VERSION = AnyOf([Text(MAX_NAME), Number()])
_NVR: dict[str, Kind] = {"name": Text(MAX_NAME), "version": _VERSION, "release": _VERSION}
_NVRA: dict[str, Kind] = {**_NVR, "arch": Text(MAX_NAME)}
_EPOCH = Maybe(Integer())


@dataclass(frozen=True)
class _BuildFields:
    """A dictionary with name, version and release."""

    def convert(self, value: object) -> dict[str, Any]:
        if isinstance(value, dict) and not set(_NVR) <= set(value):
            raise koji.GenericError("did not provide name, version, and release")
        return Fields(_NVR).convert(value)


_ROW = dict[str, Any]
#: A row by ID, name, or a dictionary with either.
Lookup = Annotated[Union[int, str, _ROW], AnyOf([Exactly(), _Named()], _no_lookup)]
#: A user, likewise.
UserLookup = Annotated[Union[int, str, _ROW], AnyOf([Exactly(), _Named()], _no_user)]
#: A build by ID, NVR, or a dictionary with name, version and release.
BuildLookup = Annotated[Union[int, str, _ROW], AnyOf([Exactly(), _BuildFields()], _no_build)]
#: An RPM by ID, NVRA or file name, or a dictionary with ID or with name, version, release and arch.
RPMLookup = Annotated[
    Union[int, str, _ROW],
    AnyOf([Exactly(), Fields({"id": Integer()}, ("id",)), Fields(_NVRA, tuple(_NVRA))], _no_rpm),
]
#: Name and version of a build, optionally with release.
BuildFields = Annotated[_ROW, Fields(_NVR, ("name", "version"))]
#: One or more architectures.
ArchList = Annotated[Union[str, list[str]], AnyOf([Text(MAX_NAME), ListOf(Text(MAX_NAME))], _no_arches)]
#: A time: seconds since the epoch, or text.
Moment = Annotated[Union[float, str], AnyOf([Number(), Text(MAX_NAME)])]
#: A number or text, not converted.
NumberOrText = Annotated[Union[int, str], Exactly()]
#: A flag or a count: ``latest=3``.
Count = Annotated[Union[int, bool], AnyOf([Integer(), Flag()])]
#: Long text: parts of files, results of tasks, metadata.
Content = Annotated[str, Text(MAX_CONTENT)]
#: Plain data that the hub passes on.
Anything = Annotated[Any, Opaque()]
#: Checksum of a part of a file: for md5 only the digest, else a pair of type and digest.
Checksum = Annotated[Any, AnyOf([Text(MAX_NAME), ListOf(Maybe(Text(MAX_NAME)), 2)])]
#: Data that a builder reports with its load.
HostData = Annotated[_ROW, AnyOf([Fields()], _no_host_data)]
#: Koji's ``queryOpts``.
QueryOptions = Annotated[
    _ROW,
    Fields({
        "order": Maybe(Text(MAX_NAME)),
        "limit": Maybe(Integer()),
        "offset": Maybe(Integer()),
        "countOnly": Flag(),
    }),
]  # fmt: skip

_ID = Maybe(Integer())
_IDS = Maybe(AnyOf([Integer(), ListOf(Maybe(Integer()), 1000)]))
_NAMES = Maybe(AnyOf([Text(MAX_NAME), ListOf(Text(MAX_NAME), 1000)]))
_TIME = Maybe(AnyOf([Number(), Text(MAX_NAME)]))
_MOMENTS = ("created", "started", "complete", "completed")
#: Options of ``listTasks``.
TaskFilter = Annotated[
    _ROW,
    Fields({
        **{f"{no}{key}": _IDS for key in ("state", "owner", "host_id", "channel_id", "parent") for no in ("", "not_")},
        **{f"{no}arch": _NAMES for no in ("", "not_")},
        **{f"{key}{side}": _TIME for key in _MOMENTS for side in ("Before", "After")},
        "method": Text(MAX_NAME),
        "decode": Flag(),
    }),
]  # fmt: skip
#: Options of a new child task; as ``**`` parameter, the dictionary of all.
SubtaskOptions = Annotated[
    Any,
    Fields({
        "label": Maybe(Text(MAX_NAME)),
        "channel": Maybe(Text(MAX_NAME)),
        "arch": Maybe(Text(MAX_NAME)),
        "priority": Integer(MAX_PRIORITY),
        "kwargs": Fields(),
    }),
]  # fmt: skip
#: Changes of a host, as ``**`` parameter.
HostChanges = Annotated[
    Any,
    Fields({
        "arches": Text(MAX_NAME),
        "capacity": Number(),
        "description": Maybe(Text()),
        "comment": Maybe(Text()),
    }),
]  # fmt: skip
#: Changes of a channel, as ``**`` parameter.
ChannelChanges = Annotated[
    Any, Fields({"name": Text(MAX_NAME), "description": Maybe(Text()), "comment": Maybe(Text())})
]  # fmt: skip
#: One or more types of users.
UserTypes = Annotated[Union[int, list[int]], AnyOf([Integer(), ListOf(Integer(), 10)])]
_LINK = Fields(
    {
        "parent_id": Integer(),
        "priority": Integer(),
        "maxdepth": Maybe(Integer()),
        "intransitive": Maybe(Flag()),
        "noconfig": Maybe(Flag()),
        "pkg_filter": Maybe(Text(MAX_NAME)),
        "name": Text(MAX_NAME),
        "child_id": Integer(),
        "delete link": Flag(),
    },
    ("parent_id",),
)
#: One or more links from a tag to its parents.
InheritanceChanges = Annotated[Union[_ROW, list[_ROW]], AnyOf([_LINK, ListOf(_LINK, 1000)])]
#: Filters of ``listBuildroots``, as ``**`` parameter.
BuildrootFilter = Annotated[Any, Fields({"queryOpts": Maybe(Fields())})]
#: A build to reserve.
Reservation = Annotated[
    _ROW,
    Fields({
        **_NVR, "epoch": _EPOCH, "task_id": _ID,
        "source": Maybe(Text()), "extra": Maybe(Fields()),
    }),
]  # fmt: skip
_COMPONENTS = ListOf(Fields({"type": Text(MAX_NAME), **_NVRA, "epoch": _EPOCH}, ("type",)), 1_000_000)
_IMAGE = Maybe(Fields({"arch": Maybe(Text(MAX_NAME))}))
_TYPEINFO = Maybe(Fields({"image": _IMAGE}))
_EXTRA = Maybe(Fields({"typeinfo": _TYPEINFO, "image": _IMAGE}))
#: Metadata of a content generator's build.
METADATA = Fields(
    {
        "metadata_version": Exactly(),
        "build": Fields(
            {
                **_NVR,
                "epoch": _EPOCH,
                "source": Maybe(Text()),
                "start_time": Seconds(),
                "end_time": Seconds(),
                "owner": Maybe(Exactly()),
                "task_id": _ID,
                "build_id": _ID,
                "extra": Maybe(Fields({"typeinfo": _TYPEINFO, "image": _IMAGE, "container_koji_task_id": _ID})),
            },
            ("name", "version", "release", "start_time", "end_time"),
        ),
        "buildroots": ListOf(
            Fields(
                {
                    "id": Exactly(),
                    "content_generator": Fields({"name": Text(MAX_NAME)}, ("name",)),
                    "components": _COMPONENTS,
                },
                ("id", "content_generator", "components"),
            )
        ),
        "output": ListOf(
            Fields(
                {
                    "filename": Text(MAX_NAME),
                    "relpath": Maybe(Text()),
                    "subdir": Maybe(Text()),
                    "filesize": Integer(),
                    "checksum": Text(MAX_NAME),
                    "checksum_type": Text(MAX_NAME),
                    "type": Text(MAX_NAME),
                    "buildroot_id": Exactly(),
                    "components": _COMPONENTS,
                    "extra": _EXTRA,
                    "metadata_only": Flag(),
                },
                ("filename", "filesize", "checksum", "checksum_type", "type", "buildroot_id"),
            )
        ),
    },
    ("metadata_version", "build", "buildroots", "output"),
)  # fmt: skip
#: Members of a ``multiCall``.
MEMBERS = ListOf(Fields({"methodName": Text(MAX_NAME), "params": ListOf(Opaque())}, ("methodName", "params")))

_TYPES: Mapping[str, Kind] = {
    "int": Integer(),
    "float": Number(),
    "bool": Flag(),
    "str": Text(),
    "Row": Fields(),
}


def assert_plain(value: object) -> None:
    """Refuse values that no call accepts: non-plain objects, excessive nesting, text that XML does not allow.

    :raises koji.ParameterError: with the reason
    """
    waiting: list[tuple[Any, int]] = [(value, 0)]
    while waiting:
        each, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise koji.ParameterError(f"Data is nested too deeply: at most {MAX_DEPTH} levels are accepted")
        if isinstance(each, dict):
            for key in each:
                Text().convert(key)
            waiting.extend((inner, depth + 1) for inner in each.values())
        elif isinstance(each, (list, tuple)):
            waiting.extend((inner, depth + 1) for inner in each)
        elif isinstance(each, str):
            Text(MAX_CONTENT).convert(each)
        elif isinstance(each, bool) or each is None:
            pass
        elif isinstance(each, int):
            Integer().convert(each)
        elif isinstance(each, float):
            Number().convert(each)
        else:
            raise koji.ParameterError(f"Invalid type of data: {type(each)}")


def kind_of(annotation: str, names: Mapping[str, object]) -> Kind:
    """The kind for an annotation.

    :param names: the module's, used to resolve aliases
    :raises TypeError: it is not allowed for calls
    """
    parts = [part.strip() for part in annotation.split("|")]
    kinds = [_single(name, names) for name in parts if name != "None"]
    kind = kinds[0] if len(kinds) == 1 else AnyOf(kinds)
    return Maybe(kind) if "None" in parts else kind


def _single(name: str, names: Mapping[str, object]) -> Kind:
    if name.startswith("list[") and name.endswith("]"):
        return ListOf(_single(name[len("list[") : -1], names))
    metadata = getattr(names.get(name), "__metadata__", None)
    kind = metadata[0] if metadata else _TYPES.get(name)
    if kind is None:
        raise TypeError(f"no type for parameters of calls: {name!r}")
    single: Kind = kind
    return single


class Signature:
    """Parameters of a call.

    :param typed: False for plugin functions, which must check their parameters themselves as in Koji
    :raises TypeError: a parameter does not declare its type
    """

    def __init__(self, function: Callable[..., Any], *, typed: bool = True) -> None:
        self.function = function
        self.signature = inspect.signature(function)
        names = getattr(function, "__globals__", {})
        self.kinds: dict[str, Kind] = {
            parameter.name: kind_of(str(parameter.annotation), names) if typed else Opaque()
            for parameter in self.signature.parameters.values()
        }

    def bind(self, arguments: Sequence[object], named: Mapping[str, object]) -> inspect.BoundArguments:
        """Check and convert the arguments of a call.

        :raises koji.ParameterError: too few, too many, unknown or of a wrong type
        """
        try:
            bound = self.signature.bind(*arguments, **named)
        except TypeError:
            # Python's own message, as in Koji; the function does not run if the arguments do not match.
            koji.util.call_with_argcheck(self.function, arguments, named)
            raise
        for name, value in bound.arguments.items():
            bound.arguments[name] = self.kinds[name].convert(value)
        return bound


def verify_name(name: str) -> str:
    """Check a new name (Koji's RegexNameInternal and RegexUserName).

    :raises koji.GenericError: it is too long or has other characters
    """
    if len(name) > MAX_NAME:
        raise koji.GenericError(f"Name {shown(name)} is too long. Max length is {MAX_NAME} characters")
    if not _NAME.fullmatch(name):
        raise koji.GenericError(f"Name {shown(name)} does not match RegexNameInternal value")
    return name
