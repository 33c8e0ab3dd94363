"""The content-generator interface: reserving an NVR, importing a build, and the archives it brings."""

from __future__ import annotations

import json
import secrets
import shutil
import time
from pathlib import Path
from typing import Any

import koji
from koji.context import context

from fedpkg_container.box.hub.calls import builds, rpms, users
from fedpkg_container.box.hub.calls.builds import BUILD_CANCELED, BUILD_FAILED, BUILDING, COMPLETE
from fedpkg_container.box.hub.database import Row, query_options
from fedpkg_container.box.hub.dispatch import call, database, require_permission
from fedpkg_container.box.hub.uploads import digest_class, upload_path

#: Koji's archive types for the files that container builds bring, by ending.
_ARCHIVE_TYPES = ((".tar.gz", "tar"), (".tar", "tar"), (".json", "json"), (".zip", "zip"), (".xml", "xml"))
_TYPE_FACTS = {
    "tar": (4, "Tar file", "tar tar.gz tar.bz2 tar.xz tgz", "tar"),
    "json": (20, "JSON data", "json", None),
    "zip": (2, "Zip file", "zip", "zip"),
    "xml": (12, "XML document", "xml", None),
}
_CHECKSUM_TYPES = {"md5": 0, "sha1": 1, "sha256": 2}


def _generator(cg: Any) -> Row:
    column = "id" if isinstance(cg, int) else "name"
    row = database().one(f"SELECT * FROM content_generators WHERE {column} = ?", cg)
    if row is None:
        raise koji.GenericError(f"No such content_generator: {cg!r}")
    return row


def _assert_access(cg: Any) -> Row:
    row = _generator(cg)
    if not context.session.logged_in:
        raise koji.AuthError("Not logged-in")
    where = "SELECT 1 FROM content_generator_users WHERE cg_id = ? AND user_id = ?"
    if not database().value(where, row["id"], context.session.user_id):
        raise koji.AuthError(f"Content generator access required ({row['name']})")
    return row


@call("grantCGAccess", used_by="the box's set-up; koji grant-cg-access; contract tests")
def grant_cg_access(user: Any, cg: str, create: bool = False) -> None:
    """Let a user import builds as a content generator."""
    require_permission("admin")
    user_id = users.known_user(user)["id"]
    if create and not database().value("SELECT 1 FROM content_generators WHERE name = ?", cg):
        database().insert("content_generators", name=cg)
    row = _generator(cg)
    where = "SELECT 1 FROM content_generator_users WHERE cg_id = ? AND user_id = ?"
    if database().value(where, row["id"], user_id):
        raise koji.GenericError(f"User already has access to content generator {row['name']}")
    database().execute("INSERT INTO content_generator_users VALUES (?, ?)", row["id"], user_id)


@call("CGInitBuild", used_by="the builder plugin")
def cg_init_build(cg: str, data: Row) -> Row:
    """Reserve an NVR; the token is told this once."""
    row = _assert_access(cg)
    build = {**data, "owner": context.session.user_id, "state": BUILDING, "completion_time": None, "cg_id": row["id"]}
    build.setdefault("epoch", None)
    koji.check_NVR(build, strict=True)
    for key in ("version", "release", "epoch"):
        if key not in build:
            raise koji.GenericError(f"No {key} value for build")
    build["start_time"] = time.time()
    build_id = builds.new_build(build)
    if database().value("SELECT 1 FROM reservations WHERE build_id = ?", build_id):
        raise koji.GenericError("Build is already reserved")
    token = secrets.token_urlsafe(32)
    database().insert("reservations", build_id=build_id, token=token, created=time.time())
    return {"build_id": build_id, "token": token}


@call("CGRefundBuild", used_by="the builder plugin")
def cg_refund_build(cg: str, build_id: int, token: str, state: int = BUILD_FAILED) -> None:
    """Give a reservation back; the build becomes failed or canceled."""
    if state not in (BUILD_FAILED, BUILD_CANCELED):
        raise koji.GenericError("Only FAILED/CANCELED build states are allowed")
    row = _assert_access(cg)
    build = builds.known_build(build_id)
    _assert_reserved(build, token, row["id"])
    database().update("builds", build["id"], state=state, completion_time=time.time())
    database().execute("DELETE FROM reservations WHERE build_id = ?", build["id"])


def _assert_reserved(build: Row, token: str | None, cg_id: int) -> None:
    if build["state"] != BUILDING:
        raise koji.GenericError(f"Build ID {build['id']} is not in BUILDING state")
    kept = database().value("SELECT token FROM reservations WHERE build_id = ?", build["id"])
    if not kept or not secrets.compare_digest(kept, str(token)):
        raise koji.GenericError(f"Token doesn't match build ID {build['id']}")
    if build["cg_id"] != cg_id:
        raise koji.GenericError(f"Build ID {build['id']} is not reserved by this CG")


@call("CGImport", used_by="the builder plugin; the box's set-up")
def cg_import(metadata: Any, directory: str, token: str | None = None) -> Row:
    """Import a build: its metadata, and the files that were uploaded into a folder."""
    return _Import(_read(metadata, directory), directory, token).run()


def _read(metadata: Any, directory: str) -> Row:
    if isinstance(metadata, dict):
        return metadata
    name = metadata or "metadata.json"
    text = name
    if name.endswith(".json"):
        path = upload_path(directory, name)
        if not path.is_file():
            raise koji.GenericError(f"No such file: {name}")
        text = path.read_text()
    try:
        read: Row = json.loads(text)
    except ValueError as error:
        raise koji.GenericError(f"Invalid json data: {error}") from error
    return read


class _Import:
    """One import, in Koji's order: access, build, buildroots, outputs checked; then everything kept."""

    def __init__(self, metadata: Row, directory: str, token: str | None) -> None:
        self.metadata = metadata
        self.directory = directory
        self.token = token
        if metadata["metadata_version"] != 0:
            raise koji.GenericError(f"No such metadata version: {metadata['metadata_version']!r}")
        names = {root["content_generator"]["name"] for root in metadata["buildroots"]}
        if len(names) > 1:
            raise koji.GenericError("Koji now support only one content-generator per import")
        self.cg = _assert_access(names.pop())

    def run(self) -> Row:
        data = self._build_data()
        outputs = [self._checked(output) for output in self.metadata["output"]]
        self._check_buildroots()
        if self.token is None:
            build_id = builds.new_build(data)
        else:
            build_id = self.metadata["build"]["build_id"]
            keep = {key: data[key] for key in ("task_id", "source", "state", "completion_time")}
            database().update("builds", build_id, extra=json.dumps(data["extra"]), owner=data["owner"], **keep)
            database().execute("DELETE FROM reservations WHERE build_id = ?", build_id)
        for btype in data["extra"]["typeinfo"]:
            builds.add_type(build_id, btype)
        build = builds.known_build(build_id)
        self._keep_files(build, outputs)
        return build

    def _build_data(self) -> Row:
        described = self.metadata["build"]
        self._check_reservation(described)
        extra = dict(described.get("extra") or {})
        typeinfo = dict(extra.get("typeinfo") or {})
        if "image" in extra:
            if "image" in typeinfo:
                raise koji.GenericError("Duplicate typeinfo for 'image'")
            typeinfo["image"] = extra["image"]
        extra["typeinfo"] = typeinfo
        owner = described.get("owner")
        task_id = extra.get("container_koji_task_id", described.get("task_id"))
        return {
            **{key: described[key] for key in ("name", "version", "release")},
            "epoch": described.get("epoch"),
            "source": described.get("source"),
            "extra": extra,
            "start_time": float(described["start_time"]),
            "completion_time": float(described["end_time"]),
            "owner": users.known_user(owner)["id"] if owner else context.session.user_id,
            "task_id": None if task_id is None else int(task_id),
            "cg_id": self.cg["id"],
            "state": COMPLETE,
        }

    def _check_reservation(self, described: Row) -> None:
        if described.get("build_id"):
            build = builds.known_build(described["build_id"])
            _assert_reserved(build, self.token, self.cg["id"])
            if any(build[key] != described[key] for key in ("name", "version", "release")):
                raise koji.GenericError(f"Build ({build['id']}) NVR is different")
            return
        if self.token is not None:
            raise koji.GenericError("Reservation token given, but no build_id in metadata")
        existing = builds.build_row({key: described[key] for key in ("name", "version", "release")})
        if existing and existing["state"] not in (BUILD_FAILED, BUILD_CANCELED):
            raise koji.GenericError(f"Build already exists: {existing['nvr']} (id={existing['id']})")

    def _check_buildroots(self) -> None:
        used = {output["buildroot_id"] for output in self.metadata["output"]}
        known = [root["id"] for root in self.metadata["buildroots"]]
        for each in known:
            if each not in used:
                raise koji.GenericError(f"Buildroot id not used in output: {each!r}")
        for each in used:
            if each not in known:
                raise koji.GenericError(f"Missing buildroot metadata for id {each!r}")

    def _checked(self, output: Row) -> tuple[Row, Path]:
        folder = f"{self.directory}/{output.get('relpath', '')}"
        path = upload_path(folder, output["filename"])
        size = path.stat().st_size
        if size != output["filesize"]:
            raise koji.GenericError(
                f"File size {size} for {output['filename']} (expected {output['filesize']}) doesn't match."
                " Corrupted upload?"
            )
        checksum = digest_class(output["checksum_type"])()
        with path.open("rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                checksum.update(block)
        if checksum.hexdigest() != output["checksum"]:
            raise koji.GenericError(
                f"File checksum mismatch for {output['filename']}: {output['checksum']} != {checksum.hexdigest()}"
            )
        if output["type"] != "log":
            self._archive_type(output)
        return output, path

    def _archive_type(self, output: Row) -> tuple[str, Any]:
        """The build type of an output, and what is said about it."""
        extra = output.get("extra") or {}
        types = {key: extra[key] for key in ("image",) if key in extra} | dict(extra.get("typeinfo") or {})
        if not types:
            raise koji.GenericError(f"No typeinfo for: {output['filename']}")
        if len(types) > 1:
            raise koji.GenericError(f"Output file has multiple types: {output['filename']}")
        btype, facts = types.popitem()
        build_extra = self.metadata["build"].get("extra") or {}
        if btype not in build_extra and btype not in (build_extra.get("typeinfo") or {}):
            raise koji.GenericError(f"Output type {btype} not listed in build types")
        return btype, facts

    def _keep_files(self, build: Row, outputs: list[tuple[Row, Path]]) -> None:
        folder = Path(koji.pathinfo.build(build))
        if folder.exists():
            raise koji.GenericError(f"Destination directory already exists: {folder}")
        roots = {
            root["id"]: database().insert("buildroots", cg_id=self.cg["id"], data=json.dumps(root))
            for root in self.metadata["buildroots"]
        }
        try:
            for output, path in outputs:
                if output["type"] == "log":
                    target = Path(koji.pathinfo.build_logs(build)) / output.get("subdir", "")
                else:
                    target = self._keep_archive(build, output, roots[output["buildroot_id"]])
                target.mkdir(parents=True, exist_ok=True)
                shutil.move(str(path), target / path.name)
            (folder / "metadata.json").write_text(json.dumps(self.metadata, indent=2))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _keep_archive(self, build: Row, output: Row, buildroot_id: int) -> Path:
        btype, facts = self._archive_type(output)
        kind = next((name for ending, name in _ARCHIVE_TYPES if output["filename"].endswith(ending)), None)
        if kind is None:
            raise koji.GenericError(f"unsupported archive type: {output['filename']}")
        archive_id = database().insert(
            "archives",
            build_id=build["id"],
            buildroot_id=buildroot_id,
            btype=btype,
            type_name=kind,
            filename=output["filename"],
            size=output["filesize"],
            checksum=output["checksum"],
            checksum_type=_CHECKSUM_TYPES[output["checksum_type"]],
            arch=(facts or {}).get("arch") if btype == "image" else None,
            extra=json.dumps(output.get("extra")),
        )
        for component in output.get("components", []):
            known = rpms.get_rpm(component) if component["type"] == "rpm" else None
            if known:  # what the hub does not know is dropped, as Koji does
                database().execute("INSERT OR IGNORE INTO archive_rpms VALUES (?, ?)", archive_id, known["id"])
        if btype == "image":
            return Path(koji.pathinfo.imagebuild(build))
        return Path(koji.pathinfo.typedir(build, btype))


@call("listArchives", used_by="koji buildinfo; the client; the builder plugin (parents)")
def list_archives(
    buildID: Any = None, buildrootID: Any = None, componentBuildrootID: Any = None, hostID: Any = None,
    type: str | None = None, filename: str | None = None, size: int | None = None, checksum: str | None = None,  # noqa: A002
    checksum_type: Any = None, typeInfo: Any = None, queryOpts: Row | None = None, imageID: Any = None,
    archiveID: Any = None, strict: bool = False,
) -> Any:  # fmt: skip
    """The archives of a build, or those with a name, a size or a checksum."""
    clauses, values = ["1"], []
    named = (("build_id", buildID), ("buildroot_id", buildrootID), ("btype", type), ("filename", filename),
             ("size", size), ("checksum", checksum), ("checksum_type", checksum_type), ("id", archiveID))  # fmt: skip
    for column, wanted in named:
        if wanted is not None:
            clauses.append(f"{column} = ?")
            values.append(wanted)
    rows = database().all(f"SELECT * FROM archives WHERE {' AND '.join(clauses)} ORDER BY id", *values)
    if strict and not rows:
        raise koji.GenericError("No archives found.")
    return query_options([_archive(row, with_arch=type == "image") for row in rows], queryOpts)


@call("getArchive", used_by="koji archiveinfo; contract tests")
def get_archive(archive_id: int, strict: bool = False) -> Row | None:
    """An archive by id."""
    row = database().one("SELECT * FROM archives WHERE id = ?", archive_id)
    if row is None:
        if strict:
            raise koji.GenericError(f"No such archive: {archive_id}")
        return None
    return _archive(row, with_arch=row["btype"] == "image")


def _archive(row: Row, *, with_arch: bool) -> Row:
    type_id, description, extensions, compression = _TYPE_FACTS[row["type_name"]]
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
        shown["rootid"] = True
    return shown
