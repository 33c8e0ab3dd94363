"""Archives: the files of builds, other than RPMs and logs."""

from __future__ import annotations

import json
from typing import Any

import koji

from fedpkg_container.box.hub.database import Row, query_options
from fedpkg_container.box.hub.dispatch import call, database
from fedpkg_container.box.hub.parameters import NumberOrText, QueryOptions

#: Koji's types for the files that container builds bring, by ending.
_ENDINGS = ((".tar.gz", "tar"), (".tar", "tar"), (".json", "json"), (".zip", "zip"), (".xml", "xml"))
#: Id, description, endings and compression of each type.
_TYPES: dict[str, tuple[int, str, str, str | None]] = {
    "tar": (4, "Tar file", "tar tar.gz tar.bz2 tar.xz tgz", "tar"),
    "json": (46, "JSON data", "json", None),
    "zip": (2, "Zip file", "zip", "zip"),
    "xml": (5, "XML file", "xml", None),
}


def type_of(filename: str) -> str:
    """The type of an archive by the ending of its name."""
    for ending, name in _ENDINGS:
        if filename.endswith(ending):
            return name
    raise koji.GenericError(f"unsupported archive type: {filename}")


@call("listArchives", used_by="the box's demo; koji buildinfo")
def list_archives(
    buildID: int | None = None, *, type: str | None = None, filename: str | None = None, size: int | None = None,  # noqa: A002
    checksum: str | None = None, checksum_type: NumberOrText | None = None,
    queryOpts: QueryOptions | None = None, archiveID: int | None = None,
    strict: bool = False,
) -> Any:  # fmt: skip
    """The archives of a build, or those with a name, a size or a checksum."""
    clauses, values = ["1"], []
    named = (("build_id", buildID), ("btype", type), ("filename", filename), ("size", size), ("checksum", checksum),
             ("checksum_type", checksum_type), ("id", archiveID))  # fmt: skip
    for column, wanted in named:
        if wanted is not None:
            clauses.append(f"{column} = ?")
            values.append(wanted)
    rows = database().all(f"SELECT * FROM archives WHERE {' AND '.join(clauses)} ORDER BY id", *values)
    if strict and not rows:
        raise koji.GenericError("No archives found.")
    return query_options([_archive(row, with_arch=type == "image") for row in rows], queryOpts)


def _archive(row: Row, *, with_arch: bool) -> Row:
    type_id, description, extensions, compression = _TYPES[row["type_name"]]
    keys = ("id", "build_id", "buildroot_id", "btype", "filename", "size", "checksum", "checksum_type", "type_name")
    shown = {
        **{key: row[key] for key in keys},
        "type_id": type_id,
        "btype_id": {"rpm": 1, "maven": 2, "win": 3, "image": 4}.get(row["btype"], 5),
        "type_description": description,
        "type_extensions": extensions,
        "compression_type": compression,
        "metadata_only": bool(row["metadata_only"]),
        "extra": json.loads(row["extra"]) if row["extra"] else None,
    }
    if with_arch:
        shown["arch"] = row["arch"]
    return shown
