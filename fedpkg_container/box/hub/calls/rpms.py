# SPDX-License-Identifier: GPL-2.0-or-later
"""Imported RPMs, and the images that contain them."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import koji

from fedpkg_container.box.hub.calls import builds
from fedpkg_container.box.hub.database import Row, marks, query_options
from fedpkg_container.box.hub.dispatch import call, database
from fedpkg_container.box.hub.lookups import open_to_workers, path_component, require_permission
from fedpkg_container.box.hub.parameters import ArchList, BuildLookup, QueryOptions, RPMLookup
from fedpkg_container.box.hub.uploads import upload_path

_STORED = ("id", "build_id", "name", "version", "release", "epoch", "arch", "size", "payloadhash", "buildtime",
           "buildroot_id")  # fmt: skip
_HEADER = ("name", "version", "release", "epoch", "sourcepackage", "arch", "buildtime", "sourcerpm")


def rpm_info(row: Row) -> Row:
    """An RPM as in hub responses."""
    return {
        **{key: row[key] for key in _STORED},
        "external_repo_id": 0,
        "external_repo_name": "INTERNAL",
        "metadata_only": False,
        "extra": None,
        "draft": False,
    }


@call("getRPM", used_by="the builder plugin; koji rpminfo, import")
def get_rpm(rpminfo: RPMLookup, strict: bool = False, multi: bool = False) -> Any:
    """An RPM by ID, NVRA, file name, or a dictionary with name, version, release and arch."""
    meant = _meant(rpminfo)
    if "id" in meant:
        row = database().one("SELECT * FROM rpms WHERE id = ?", meant["id"])
    else:
        row = database().one(
            "SELECT * FROM rpms WHERE name = ? AND version = ? AND release = ? AND arch = ?",
            *(meant[key] for key in ("name", "version", "release", "arch")),
        )
    if multi:
        return [rpm_info(row)] if row else []
    if row is None and strict:
        raise koji.GenericError(f"No such rpm: {meant!r}")
    return row and rpm_info(row)


def _meant(rpminfo: object) -> Row:
    if isinstance(rpminfo, dict):
        return rpminfo
    if isinstance(rpminfo, int):
        return {"id": rpminfo}
    if not isinstance(rpminfo, str):
        raise koji.GenericError(f"Invalid type for rpminfo: {type(rpminfo)!r}")
    if rpminfo.isdigit():
        return {"id": int(rpminfo)}
    parts: Row = koji.parse_NVRA(rpminfo)
    return parts


@call("listRPMs", used_by="the box's demo; koji buildinfo, rpminfo")
def list_rpms(
    buildID: int | None = None, *, imageID: int | None = None, componentBuildrootID: int | None = None,
    arches: ArchList | None = None,
    queryOpts: QueryOptions | None = None,
) -> object:  # fmt: skip
    """RPMs of a build, or those in an image (an archive) or a buildroot."""
    columns, tables, clauses = "rpms.*", "rpms", ["1"]
    values: list[Any] = []
    if buildID is not None:
        clauses.append("rpms.build_id = ?")
        values.append(buildID)
    if imageID is not None:
        clauses.append("rpms.id IN (SELECT rpm_id FROM archive_rpms WHERE archive_id = ?)")
        values.append(imageID)
    if componentBuildrootID is not None:
        columns += ", buildroot_rpms.buildroot_id AS component_buildroot_id"
        tables += " JOIN buildroot_rpms ON buildroot_rpms.rpm_id = rpms.id"
        clauses.append("buildroot_rpms.buildroot_id = ?")
        values.append(componentBuildrootID)
    if arches is not None:
        wanted = _arch_list(arches)
        clauses.append(f"rpms.arch IN ({marks(wanted)})")
        values.extend(wanted)
    rows = database().all(
        f"SELECT {columns} FROM {tables} WHERE {' AND '.join(clauses)} ORDER BY rpms.name, rpms.arch", *values
    )
    return query_options([_listed(row) for row in rows], queryOpts)


def _arch_list(arches: Any) -> list[str]:
    return [arches] if isinstance(arches, str) else list(arches)


def _listed(row: Row) -> Row:
    shown = {**rpm_info(row), "nvr": f"{row['name']}-{row['version']}-{row['release']}"}
    if "component_buildroot_id" in row:
        shown |= {"component_buildroot_id": row["component_buildroot_id"], "is_update": False}
    return shown


@call("queryRPMSigs", used_by="koji buildinfo")
def query_rpm_signatures(rpm_id: int) -> list[Row]:
    """Empty: this hub stores no signatures."""
    return []


@call("getRPMHeaders", used_by="koji rpminfo")
def get_rpm_headers(rpmID: RPMLookup, headers: list[str], strict: bool = False) -> Row:
    """Fields of an RPM's header; empty if the RPM is unknown."""
    row = get_rpm(rpmID, strict=strict)
    if row is None:
        return {}
    path = Path(koji.pathinfo.build(builds.known_build(row["build_id"]))) / koji.pathinfo.rpm(row)
    fields: Row = koji.fixEncodingRecurse(koji.get_header_fields(str(path), headers), remove_nonprintable=True)
    return fields


@call("getChangelogEntries", used_by="koji buildinfo --changelog")
def get_changelog_entries(buildID: BuildLookup, queryOpts: QueryOptions | None = None) -> object:
    """Entries in the changelog of a build's source RPM, newest first; empty if it has none."""
    build = builds.build_row(buildID)
    rows = database().all("SELECT * FROM rpms WHERE build_id = ? AND arch = 'src'", build["id"]) if build else []
    if not build or not rows:
        return query_options([], queryOpts)
    path = Path(koji.pathinfo.build(build), koji.pathinfo.rpm(rpm_info(rows[0])))
    names = ("changelogtime", "changelogname", "changelogtext")
    header = koji.get_header_fields(str(path), list(names))
    entries = [
        {"date": datetime.fromtimestamp(time).isoformat(" "), "date_ts": time, "author": author, "text": text}
        for time, author, text in zip(*(header[name] for name in names))
    ]
    return query_options(koji.fixEncodingRecurse(entries, remove_nonprintable=True), queryOpts)


@call("importRPM", used_by="the box's demo; koji import")
def import_rpm(path: str, basename: str) -> Row:
    """Add an uploaded RPM to its build; a source RPM creates a missing build."""
    require_permission("admin")
    uploaded = upload_path(path, basename)
    if not uploaded.is_file():
        raise koji.GenericError(f"No such file: {uploaded}")
    header = koji.get_header_fields(str(uploaded), [*_HEADER, "sigmd5"])
    if header["sourcepackage"]:
        header["arch"] = "src"
    for key in ("name", "version", "release", "arch"):
        path_component(str(header[key]), key)
    expected = koji.pathinfo.rpm(header).rpartition("/")[2]
    if basename != expected:
        raise koji.GenericError(f"bad filename: {basename} (expected {expected})")
    if not header["sigmd5"]:  # format 6, which the hub cannot identify
        raise koji.GenericError(f"{basename} has no SIGMD5: build it in format 4 (%_rpmformat 4)")
    build = _build_of(header)
    rpm = _add(build, uploaded, header)
    builds.add_type(build["id"], "rpm")
    return {**{key: header[key] for key in _HEADER}, **rpm, "build": build, "brootid": None}


def _build_of(header: Row) -> Row:
    source = header if header["sourcepackage"] else koji.parse_NVRA(header["sourcerpm"])
    build = builds.build_row({key: source[key] for key in ("name", "version", "release")})
    if build is None:
        if not header["sourcepackage"]:
            raise koji.GenericError("No such build")
        new = {key: header[key] for key in ("name", "version", "release", "epoch")}
        return builds.known_build(builds.new_build(new))
    state = koji.BUILD_STATES[build["state"]]
    if state in ("FAILED", "CANCELED", "DELETED"):
        raise koji.GenericError(f"Build is {state}: {build['nvr']}")
    return build


def _add(build: Row, uploaded: Path, header: Row) -> Row:
    row = {key: header[key] for key in ("name", "version", "release", "arch", "epoch", "buildtime")}
    if get_rpm(row):
        raise koji.GenericError(f"RPM already exists: {uploaded.name}")
    row |= {
        "build_id": build["id"],
        "size": uploaded.stat().st_size,
        "payloadhash": koji.hex_string(header["sigmd5"]),
        "buildroot_id": None,
    }
    row["id"] = database().insert("rpms", **row)
    target = Path(koji.pathinfo.build(build)) / koji.pathinfo.rpm(row)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(str(uploaded), target)
    open_to_workers(target)
    return {**row, "external_repo_id": 0, "draft": False}
