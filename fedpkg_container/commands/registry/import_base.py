# SPDX-License-Identifier: GPL-2.0-or-later
"""Import a base image into Koji and the candidate registry, so that it is recorded as parent of builds.

The NVR comes from the labels com.redhat.component, version and release, or from --nvr. All architectures and the RPMs
in them are recorded. If Koji has the same image already, nothing is changed.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from fedpkg_container.commands.registry.arguments import add_koji_tag, complete_files, koji_tag

if TYPE_CHECKING:
    from fedpkg_container.hub.protocol import HubSession
    from fedpkg_container.image.base.base_import import ImportedImage
    from fedpkg_container.registry.config import DistributionSite

HELP = "import a base image into Koji and the candidate registry"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    image = parser.add_argument(
        "image",
        metavar="PULLSPEC|ARCHIVE",
        help="image in a registry, by tag or digest; or a docker-archive, OCI archive or OCI layout",
    )
    complete_files(image)
    parser.add_argument("--nvr", default="", metavar="NAME-VERSION-RELEASE", help="NVR (default: from the labels)")
    parser.add_argument(
        "--repository", default="", help="repository in the candidate registry (default: from the labels)"
    )
    where = parser.add_mutually_exclusive_group()
    add_koji_tag(where, help="Koji tag to apply to the imported build")
    where.add_argument("--target", default="", help="build target whose destination tag to apply to the build")
    parser.add_argument("--json", action="store_true", help="print a JSON report")


def run(arguments: argparse.Namespace, site: DistributionSite) -> int:
    """Run the command and return the exit status."""
    from fedpkg_container.commands.terminal import print_stderr
    from fedpkg_container.hub.session import hub_errors, logged_in
    from fedpkg_container.image.base.base_import import BaseImport, import_context
    from fedpkg_container.image.base.identity import identify
    from fedpkg_container.image.base.source import open_base_source

    account, candidates = site.importer, site.candidates
    with import_context(account.state, candidates.access, (lambda _: None) if arguments.json else print_stderr) as shop:
        source = open_base_source(arguments.image, shop.engine.workspace, site.access, site.limits)
        identity = identify(source, arguments.nvr, arguments.repository)
        with logged_in(site.profile, account) as session, hub_errors(session.baseurl):
            importer = BaseImport(
                session=session,
                generator=account.name,
                candidate=candidates.registry,
                engine=shop.engine,
                log=shop.log,
                store_archives=account.archives,
                koji_tag=koji_tag(arguments) or _destination(session, arguments.target),
            )
            imported = importer.run(source, identity)
            _show(imported, in_tag=bool(importer.koji_tag), as_json=arguments.json)
    return 0


def _destination(session: HubSession, target: str) -> str:
    """Return the destination tag of a build target; empty if no target is given.

    :raises RefusedError: if there is no such target
    """
    from fedpkg_container.errors import RefusedError

    if not target:
        return ""
    build_target = session.getBuildTarget(target)
    if not build_target:
        raise RefusedError(f"the hub has no build target {target}", solution="list them: koji list-targets")
    return str(build_target["dest_tag_name"])


def _show(imported: ImportedImage, *, in_tag: bool, as_json: bool) -> None:
    from fedpkg_container.commands.terminal import print_json, print_lines, print_stderr

    if as_json:
        print_json({
            "version": 1,
            "nvr": str(imported.nvr),
            "build": imported.build_id,
            "image": str(imported.index),
            "arches": list(imported.arches),
            "was_there": imported.existed,
            "warnings": list(imported.warnings),
        })  # fmt: skip
        return
    print_stderr(*(f"warning: {warning}" for warning in imported.warnings))
    had = "already imported" if imported.existed else "imported"
    print_lines(f"{imported.nvr} {had} (build {imported.build_id}, {', '.join(imported.arches)})", str(imported.index))
    if not in_tag and not imported.existed:
        print_stderr(f"it is in no Koji tag: koji tag-build TAG {imported.nvr}")
