# SPDX-License-Identifier: GPL-2.0-or-later
"""Import of builds by a content generator."""

from __future__ import annotations

import json
import secrets
import shutil
import time
from pathlib import Path
from typing import Any

import koji
from koji.context import context

from fedpkg_container.box.hub.calls import builds, listings, rpms, users
from fedpkg_container.box.hub.calls.builds import BUILD_CANCELED, BUILD_FAILED, BUILDING, COMPLETE
from fedpkg_container.box.hub.database import Row
from fedpkg_container.box.hub.dispatch import call, database, exception_fault
from fedpkg_container.box.hub.lookups import entry, find, path_component, relative_path, require_permission
from fedpkg_container.box.hub.parameters import (
    METADATA,
    Content,
    Lookup,
    Reservation,
    UserLookup,
    assert_plain,
    verify_name,
)
from fedpkg_container.box.hub.uploads import digest_class, upload_path


def assert_access(cg: object) -> Row:
    """The generator; the calling user must have access to it."""
    row = entry("content_generator", cg)
    if not context.session.logged_in:
        raise koji.AuthError("Not logged-in")
    if not _may_use(row["id"], context.session.user_id):
        raise koji.AuthError(f"Content generator access required ({row['name']})")
    return row


def _may_use(cg_id: int, user_id: int) -> bool:
    where = "SELECT 1 FROM content_generator_users WHERE cg_id = ? AND user_id = ?"
    return bool(database().value(where, cg_id, user_id))


@call("grantCGAccess", used_by="the box's set-up; koji grant-cg-access")
def grant_cg_access(user: UserLookup, cg: Lookup, create: bool = False) -> None:
    """Let a user import builds as a content generator."""
    require_permission("admin")
    user_id = users.known_user(user)["id"]
    if create and find("content_generators", cg) is None:
        if not isinstance(cg, str):
            raise koji.GenericError("Name must be a string")
        database().insert("content_generators", name=verify_name(cg))
    row = entry("content_generator", cg)
    if _may_use(row["id"], user_id):
        raise koji.GenericError(f"User already has access to content generator {row['name']}")
    database().execute("INSERT INTO content_generator_users VALUES (?, ?)", row["id"], user_id)


@call("revokeCGAccess", used_by="koji revoke-cg-access")
def revoke_cg_access(user: UserLookup, cg: Lookup) -> None:
    """Revoke a user's access to a content generator."""
    require_permission("admin")
    user_id, row = users.known_user(user)["id"], entry("content_generator", cg)
    database().execute("DELETE FROM content_generator_users WHERE cg_id = ? AND user_id = ?", row["id"], user_id)


@call("CGInitBuild", used_by="the builder plugin")
def cg_init_build(cg: Lookup, data: Reservation) -> Row:
    """Reserve an NVR; only this returns the token."""
    row = assert_access(cg)
    build = {"epoch": None, **data, "state": BUILDING, "start_time": time.time(), "completion_time": None}
    build |= {"owner": context.session.user_id, "cg_id": row["id"]}
    if not build.get("name"):
        raise koji.GenericError("No name or package id provided for build")
    for key in ("version", "release"):
        if key not in build:
            raise koji.GenericError(f"No {key} value for build")
    koji.check_NVR({key: str(build[key]) for key in ("name", "version", "release")}, strict=True)
    build_id = builds.new_build(build)
    if database().value("SELECT 1 FROM reservations WHERE build_id = ?", build_id):
        raise koji.GenericError("Build is already reserved")
    token = secrets.token_urlsafe(32)
    database().insert("reservations", build_id=build_id, token=token, created=time.time())
    return {"build_id": build_id, "token": token}


@call("CGRefundBuild", used_by="the builder plugin")
def cg_refund_build(cg: Lookup, build_id: int, token: str, state: int = BUILD_FAILED) -> None:
    """Cancel a reservation; the build becomes failed or canceled."""
    if state not in (BUILD_FAILED, BUILD_CANCELED):
        raise koji.GenericError("Only FAILED/CANCELED build states are allowed")
    row = assert_access(cg)
    build = builds.known_build(build_id)
    assert_building(build)
    assert_reserved(build, token, row["id"])
    database().update("builds", build["id"], state=state, completion_time=time.time())
    database().execute("DELETE FROM reservations WHERE build_id = ?", build["id"])


def assert_building(build: Row) -> None:
    """Refuse a build that has ended."""
    if build["state"] != BUILDING:
        raise koji.GenericError(f"Build ID {build['id']} is not in BUILDING state")


def assert_reserved(build: Row, token: str | None, cg_id: int) -> None:
    """Refuse a wrong token, or a generator other than the one with the reservation."""
    expected_token = database().value("SELECT token FROM reservations WHERE build_id = ?", build["id"])
    if not expected_token or not secrets.compare_digest(expected_token.encode(), str(token).encode()):
        raise koji.GenericError(f"Token doesn't match build ID {build['id']}")
    if build["cg_id"] != cg_id:
        raise koji.GenericError(f"Build ID {build['id']} is not reserved by this CG")


#: Maximum size of a build's metadata, bytes.
LONGEST_METADATA = 64 * 1024 * 1024
#: The build type allowed at the top of ``extra`` instead of in ``typeinfo``.
_TOP_TYPE = "image"
_CHECKSUM_TYPES = {"md5": 0, "sha1": 1, "sha256": 2}
_NVR = ("name", "version", "release")


@call("CGImport", used_by="the builder plugin; the box's demo")
def cg_import(metadata: Content | Row | None, directory: str, token: str | None = None) -> Row:
    """Import a build: its metadata, and files uploaded to a directory."""
    described = _read(metadata, directory)
    assert_plain(described)
    return _Import(METADATA.convert(described), directory, token).run()


def _read(metadata: Any, directory: str) -> Row:
    if isinstance(metadata, dict):
        return metadata
    name = metadata or "metadata.json"
    text = name
    if name.endswith(".json"):
        path = upload_path(directory, name)
        if not path.is_file():
            raise koji.GenericError(f"No such file: {name}")
        if path.stat().st_size > LONGEST_METADATA:
            raise koji.GenericError(f"{name} is longer than {LONGEST_METADATA} bytes")
        try:
            text = path.read_text()
        except UnicodeDecodeError as error:
            raise koji.GenericError(f"Invalid json data: {error}") from error
    try:
        read: Row = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise koji.GenericError(f"Invalid json data: {error}") from error
    return read


class _Import:
    """One import, in Koji's order: check access, build, buildroots and outputs; then store all."""

    def __init__(self, metadata: Row, directory: str, token: str | None) -> None:
        self.metadata = metadata
        self.directory = directory
        self.token = token
        if metadata["metadata_version"] != 0:
            raise koji.GenericError(f"No such metadata version: {metadata['metadata_version']!r}")
        names = {root["content_generator"]["name"] for root in metadata["buildroots"]}
        if not names:
            raise koji.GenericError("No buildroot in metadata")
        if len(names) > 1:
            raise koji.GenericError("Koji now support only one content-generator per import")
        self.cg = assert_access(names.pop())

    def run(self) -> Row:
        """Check all input, then store it; return the build."""
        data = self._build_data()
        self._check_buildroots()
        outputs = [self._checked(output) for output in self.metadata["output"]]
        build_id = builds.new_build(data) if self.token is None else self._complete(data)
        for btype in data["extra"]["typeinfo"]:
            builds.add_type(build_id, path_component(btype, "build type"))
        build = builds.known_build(build_id)
        self._keep_files(build, outputs)
        return build

    def _complete(self, data: Row) -> int:
        """Complete a reserved build: keep its start time, set its end time to now."""
        build_id = int(self.metadata["build"]["build_id"])
        preserved = {key: data[key] for key in ("task_id", "source", "state", "owner")}
        extra = json.dumps(data["extra"])
        database().update("builds", build_id, **preserved, extra=extra, completion_time=time.time())
        database().execute("DELETE FROM reservations WHERE build_id = ?", build_id)
        return build_id

    def _build_data(self) -> Row:
        described = self.metadata["build"]
        extra = dict(described.get("extra") or {})
        task_id = extra.get("container_koji_task_id", described.get("task_id"))
        task_id = None if task_id is None else int(task_id)
        self._check_reservation(described, task_id)
        typeinfo = dict(extra.get("typeinfo") or {})
        if _TOP_TYPE in extra:
            if _TOP_TYPE in typeinfo:
                raise koji.GenericError(f"Duplicate typeinfo for {_TOP_TYPE!r}")
            typeinfo[_TOP_TYPE] = extra[_TOP_TYPE]
        extra["typeinfo"] = typeinfo
        owner = described.get("owner")
        return {
            **{key: described[key] for key in _NVR},
            "epoch": described.get("epoch"),
            "source": described.get("source"),
            "extra": extra,
            "start_time": float(described["start_time"]),
            "completion_time": float(described["end_time"]),
            "owner": users.known_user(owner)["id"] if owner else context.session.user_id,
            "task_id": task_id,
            "cg_id": self.cg["id"],
            "state": COMPLETE,
        }

    def _check_reservation(self, described: Row, task_id: int | None) -> None:
        if described.get("build_id"):
            build = builds.known_build(described["build_id"])
            assert_reserved(build, self.token, self.cg["id"])
            if build["task_id"] and build["task_id"] != task_id:
                raise koji.GenericError(f"Build is owned by task {build['task_id']}")
            assert_building(build)
            if any(build[key] != described[key] for key in _NVR):
                raise koji.GenericError(f"Build ({build['id']}) NVR is different")
            return
        if self.token is not None:
            raise koji.GenericError("Reservation token given, but no build_id in metadata")
        existing = builds.build_row({key: described[key] for key in _NVR})
        if existing and existing["state"] not in (BUILD_FAILED, BUILD_CANCELED):
            raise koji.GenericError(f"Build already exists: {existing['nvr']} (id={existing['id']})")

    def _check_buildroots(self) -> None:
        used = {output["buildroot_id"] for output in self.metadata["output"]}
        for root in self.metadata["buildroots"]:
            if root["id"] not in used:
                raise koji.GenericError(f"Buildroot id not used in output: {root['id']!r}")
            _known_rpms(root["components"])

    def _checked(self, output: Row) -> tuple[Row, Path]:
        below = relative_path(output.get("relpath") or "", "relpath")
        path = upload_path(f"{self.directory}/{below}", output["filename"])
        if not path.is_file():
            raise exception_fault(FileNotFoundError(f"No such file: {output['filename']}"))
        size = path.stat().st_size
        if size != output["filesize"]:
            message = f"File size {size} for {output['filename']} (expected {output['filesize']}) doesn't match."
            raise koji.GenericError(f"{message} Corrupted upload?")
        if output["checksum_type"] not in _CHECKSUM_TYPES:
            raise koji.GenericError(f"Unsupported checksum type: {output['checksum_type']}")
        checksum = _checksum(path, output["checksum_type"])
        if checksum != output["checksum"]:
            raise koji.GenericError(
                f"File checksum mismatch for {output['filename']}: {output['checksum']} != {checksum}"
            )
        if output["buildroot_id"] not in [root["id"] for root in self.metadata["buildroots"]]:
            raise koji.GenericError(f"Missing buildroot metadata for id {output['buildroot_id']!r}")
        if output["type"] != "log":
            self._archive_type(output)
            _known_rpms(output.get("components", []))
        return output, path

    def _archive_type(self, output: Row) -> tuple[str, Any]:
        """Build type of an output, and its type info."""
        extra = output.get("extra") or {}
        types = dict(extra.get("typeinfo") or {})
        if _TOP_TYPE in extra:
            if _TOP_TYPE in types:
                raise koji.GenericError(f"Duplicate typeinfo for: {_TOP_TYPE!r}")
            types[_TOP_TYPE] = extra[_TOP_TYPE]
        if not types:
            raise koji.GenericError(f"No typeinfo for: {output['filename']}")
        if len(types) > 1:
            raise koji.GenericError(f"Output file has multiple types: {output['filename']}")
        btype, facts = types.popitem()
        build_extra = self.metadata["build"].get("extra") or {}
        if btype not in build_extra and btype not in (build_extra.get("typeinfo") or {}):
            raise koji.GenericError(f"Output type {btype} not listed in build types")
        return path_component(btype, "build type"), facts

    def _keep_files(self, build: Row, outputs: list[tuple[Row, Path]]) -> None:
        directory = Path(koji.pathinfo.build(build))
        if directory.exists():
            raise koji.GenericError(f"Destination directory already exists: {directory}")
        roots = {root["id"]: self._keep_buildroot(root) for root in self.metadata["buildroots"]}
        try:
            for output, path in outputs:
                if output["type"] == "log":
                    target = Path(koji.pathinfo.build_logs(build)) / relative_path(output.get("subdir") or "", "subdir")
                else:
                    target = self._keep_archive(build, output, roots[output["buildroot_id"]])
                if not output.get("metadata_only"):
                    target.mkdir(parents=True, exist_ok=True)
                    if (target / path.name).exists() or not path.is_file():
                        raise koji.GenericError(f"Duplicate output: {path.name}")
                    shutil.move(str(path), target / path.name)
            directory.mkdir(parents=True, exist_ok=True)
            (directory / "metadata.json").write_text(json.dumps(self.metadata, indent=2))
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)
            raise

    def _keep_buildroot(self, root: Row) -> int:
        root_id = database().insert("buildroots", cg_id=self.cg["id"], data=json.dumps(root))
        for rpm_id in _known_rpms(root["components"]):
            database().execute("INSERT INTO buildroot_rpms VALUES (?, ?)", root_id, rpm_id)
        return root_id

    def _keep_archive(self, build: Row, output: Row, buildroot_id: int) -> Path:
        btype, facts = self._archive_type(output)
        archive_id = database().insert(
            "archives",
            build_id=build["id"],
            buildroot_id=buildroot_id,
            btype=btype,
            type_name=listings.type_of(output["filename"]),
            filename=output["filename"],
            size=output["filesize"],
            checksum=output["checksum"],
            checksum_type=_CHECKSUM_TYPES[output["checksum_type"]],
            metadata_only=int(bool(output.get("metadata_only"))),
            arch=(facts or {}).get("arch") if btype == "image" else None,
            extra=json.dumps(output.get("extra")),
        )
        for rpm_id in _known_rpms(output.get("components", [])):
            database().execute("INSERT INTO archive_rpms VALUES (?, ?)", archive_id, rpm_id)
        if btype == "image":
            return Path(koji.pathinfo.imagebuild(build))
        return Path(koji.pathinfo.typedir(build, btype))


def _known_rpms(components: list[Row]) -> list[int]:
    """IDs of the RPMs among components; unknown ones are ignored, as in Koji.

    Duplicates are kept: as in Koji, the database refuses them.
    """
    rpm_ids = []
    for component in components:
        if component["type"] not in {"rpm", "file", "kojifile"}:
            raise koji.GenericError(f"No such component type: {component['type']}")
        rpm = rpms.get_rpm(component) if component["type"] == "rpm" else None
        if rpm:
            rpm_ids.append(int(rpm["id"]))
    return rpm_ids


def _checksum(path: Path, algorithm: str) -> str:
    checksum = digest_class(algorithm)()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            checksum.update(block)
    return str(checksum.hexdigest())
