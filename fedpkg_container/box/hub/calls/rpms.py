"""RPMs that Koji built, and which images hold them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import koji

from fedpkg_container.box.hub.calls import builds
from fedpkg_container.box.hub.database import Row, query_options
from fedpkg_container.box.hub.dispatch import call, database, require_permission
from fedpkg_container.box.hub.uploads import upload_path

_RPMS = (
    "SELECT rpms.* FROM rpms JOIN builds ON builds.id = rpms.build_id"
)


def _shown(row: Row) -> Row:
    nvr = f"{row['name']}-{row['version']}-{row['release']}"
    return {
        **{key: row[key] for key in ("id", "build_id", "name", "version", "release", "epoch", "arch", "size",
                                     "payloadhash", "buildtime", "buildroot_id")},
        "nvr": nvr, "external_repo_id": 0, "external_repo_name": "INTERNAL", "metadata_only": False, "extra": None,
        "draft": False,
    }  # fmt: skip


@call("getRPM", used_by="koji rpminfo")
def get_rpm(rpminfo: Any, strict: bool = False, multi: bool = False) -> Any:
    """An RPM by id, NVRA, file name, or a dictionary with name, version, release and arch."""
    if isinstance(rpminfo, int):
        row = database().one(f"{_RPMS} WHERE rpms.id = ?", rpminfo)
    else:
        parts = koji.parse_NVRA(rpminfo) if isinstance(rpminfo, str) else rpminfo
        row = database().one(
            f"{_RPMS} WHERE rpms.name = ? AND rpms.version = ? AND rpms.release = ? AND rpms.arch = ?",
            parts["name"], parts["version"], parts["release"], parts["arch"],
        )  # fmt: skip
    if row is None:
        if strict:
            raise koji.GenericError(f"No such rpm: {rpminfo!r}")
        return [] if multi else None
    return [_shown(row)] if multi else _shown(row)


@call("listRPMs", used_by="koji buildinfo (as listBuildRPMs); the client")
def list_rpms(
    buildID: Any = None, buildrootID: Any = None, imageID: Any = None, componentBuildrootID: Any = None,
    hostID: Any = None, arches: Any = None, queryOpts: Row | None = None, draft: Any = None,
) -> Any:  # fmt: skip
    """The RPMs of a build, or those that an image (an archive) holds."""
    clauses, values = ["1"], []
    if buildID is not None:
        clauses.append("rpms.build_id = ?")
        values.append(buildID)
    if imageID is not None:
        clauses.append("rpms.id IN (SELECT rpm_id FROM archive_rpms WHERE archive_id = ?)")
        values.append(imageID)
    rows = database().all(f"{_RPMS} WHERE {' AND '.join(clauses)} ORDER BY rpms.name, rpms.arch", *values)
    return query_options([_shown(row) for row in rows], queryOpts)


@call("listBuildRPMs", used_by="koji buildinfo")
def list_build_rpms(build: Any) -> list[Row]:
    """The RPMs of a build."""
    rows: list[Row] = list_rpms(buildID=builds.known_build(build)["id"])
    return rows


@call("importRPM", used_by="the box's set-up; koji import")
def import_rpm(path: str, basename: str) -> None:
    """Add an uploaded RPM to its build; one without a build makes it, when it is a source RPM."""
    require_permission("admin")
    uploaded = upload_path(path, basename)
    if not uploaded.is_file():
        raise koji.GenericError(f"No such file: {uploaded}")
    header = koji.get_header_fields(
        str(uploaded), ["name", "version", "release", "epoch", "arch", "sigmd5", "buildtime", "sourcerpm", "sourcepackage"]
    )
    source = bool(header["sourcepackage"])
    nvr = header if source else koji.parse_NVRA(header["sourcerpm"])
    build = builds.build_row({key: nvr[key] for key in ("name", "version", "release")})
    if build is None:
        if not source:
            raise koji.GenericError(f"No such build: {header['sourcerpm']}")
        build = builds.known_build(builds.new_build({**{k: header[k] for k in ("name", "version", "release", "epoch")},
                                                     "state": builds.COMPLETE}))  # fmt: skip
    _add(build, uploaded, header, "src" if source else header["arch"])


def _add(build: Row, uploaded: Path, header: Row, arch: str) -> None:
    row = {"name": header["name"], "version": header["version"], "release": header["release"], "arch": arch}
    if get_rpm(row):
        raise koji.GenericError(f"RPM already exists: {uploaded.name}")
    database().insert(
        "rpms",
        **row,
        build_id=build["id"],
        epoch=header["epoch"],
        size=uploaded.stat().st_size,
        payloadhash=koji.hex_string(header["sigmd5"]),
        buildtime=header["buildtime"],
    )
    builds.add_type(build["id"], "rpm")
    target = Path(koji.pathinfo.build(build)) / koji.pathinfo.rpm(row)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(str(uploaded), target)
