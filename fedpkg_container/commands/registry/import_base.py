"""Bring a base image into Koji and the candidate registry, so that builds on it have a recorded parent.

It is recorded under the NVR that its labels com.redhat.component, version and release say, or that --nvr names, with
all of its arches and the RPMs in them. When Koji has this very image already, nothing is done.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from fedpkg_container.commands.registry.arguments import complete_files

if TYPE_CHECKING:
    from fedpkg_container.image.base.base_import import ImportedImage
    from fedpkg_container.registry.config import DistributionSite

HELP = "bring a base image into Koji and the candidate registry"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    image = parser.add_argument(
        "image",
        metavar="PULLSPEC|ARCHIVE",
        help="an image in a registry, by tag or digest; or a docker-archive, an OCI archive or an OCI layout",
    )
    complete_files(image)
    parser.add_argument("--nvr", default="", metavar="NAME-VERSION-RELEASE", help="instead of what its labels say")
    parser.add_argument("--repository", default="", help="in the candidate registry, instead of what its labels say")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--tag", default="", metavar="KOJI-TAG", help="tag of Koji that the build gets")
    where.add_argument("--target", default="", help="build target of Koji whose destination tag the build gets")
    parser.add_argument("--json", action="store_true", help="print a report for programs")


def run(arguments: argparse.Namespace, site: DistributionSite) -> int:
    """Run the command; its exit status."""
    from fedpkg_container.commands.terminal import complain
    from fedpkg_container.hub.session import contact, logged_in
    from fedpkg_container.image.base.base_import import BaseImport, import_context
    from fedpkg_container.image.base.identity import identify
    from fedpkg_container.image.base.source import open_base_source

    account, candidates = site.importer, site.candidates
    with import_context(account.state, candidates.access, (lambda _: None) if arguments.json else complain) as shop:
        source = open_base_source(arguments.image, shop.engine.workspace, site.access, site.limits)
        identity = identify(source, arguments.nvr, arguments.repository)
        with logged_in(site.profile, account) as session, contact(session.baseurl):
            importer = BaseImport(
                session=session,
                generator=account.name,
                candidate=candidates.registry,
                engine=shop.engine,
                log=shop.log,
                store_archives=account.archives,
                koji_tag=arguments.tag or _destination(session, arguments.target),
            )
            imported = importer.run(source, identity)
            _show(imported, in_tag=bool(importer.koji_tag), as_json=arguments.json)
    return 0


def _destination(session: Any, target: str) -> str:
    """The destination tag of a build target; empty for none.

    :raises RefusedError: there is no such target
    """
    from fedpkg_container.errors import RefusedError

    if not target:
        return ""
    found = session.getBuildTarget(target)
    if not found:
        raise RefusedError(f"the hub has no build target {target}", solution="see which there are: koji list-targets")
    return str(found["dest_tag_name"])


def _show(imported: ImportedImage, *, in_tag: bool, as_json: bool) -> None:
    from fedpkg_container.commands.terminal import complain, say, say_json

    if as_json:
        say_json({
            "version": 1,
            "nvr": str(imported.nvr),
            "build": imported.build_id,
            "image": str(imported.index),
            "arches": list(imported.arches),
            "was_there": imported.existed,
            "warnings": list(imported.warnings),
        })  # fmt: skip
        return
    complain(*(f"warning: {each}" for each in imported.warnings))
    had = "was there" if imported.existed else "imported"
    say(f"{imported.nvr} {had} (build {imported.build_id}, {', '.join(imported.arches)})", str(imported.index))
    if not in_tag and not imported.existed:
        complain(f"it is in no tag of Koji: koji tag-build TAG {imported.nvr}")
