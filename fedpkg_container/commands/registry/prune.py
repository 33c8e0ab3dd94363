# SPDX-License-Identifier: GPL-2.0-or-later
"""Delete unneeded images from the candidate registry: staging images of finished builds, and old candidates."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from fedpkg_container.commands.registry.arguments import whole_number
from fedpkg_container.text import pluralize

if TYPE_CHECKING:
    from fedpkg_container.registry.config import DistributionSite
    from fedpkg_container.registry.pruning.report import DeletionResult, PrunedImage, Report
    from fedpkg_container.registry.pruning.retention import Decision

_GARBAGE = """\
{registry} frees the space when its garbage collection runs, on its own
machine:
  1. set storage.maintenance.readonly.enabled to true in its configuration and
     restart it; otherwise images pushed meanwhile may be deleted too
  2. docker-registry garbage-collect CONFIG (registry garbage-collect on Fedora),
     without --delete-untagged, which deletes the members of tagged image indexes
  3. set readonly.enabled to false again and restart it; it caches the existence
     of deleted blobs"""

HELP = "delete staging images and old candidates that are not needed"


def lines(report: Report) -> Iterator[str]:
    """Yield the lines of the report."""
    yield from _table(report)
    yield from _kept_lines(report)
    number, size = len(report.images), sum(image.size or 0 for image in report.images)
    done = sum(image.result.done for image in report.images), sum(entry.result.done for entry in report.emptied)
    if report.deletes and (number or report.emptied):
        emptied = pluralize(len(report.emptied), "staging repository")
        yield f"deleted: {done[0]} of {pluralize(number, 'image')}; emptied: {done[1]} of {emptied}"
    elif number or report.emptied:
        yield (
            f"{pluralize(number, 'image')} ({_bytes(size)}, including shared layers) and"
            f" {pluralize(len(report.emptied), 'staging repository')} would be deleted; {_kept_count(report)}"
        )
        yield "nothing was deleted; use --delete to delete"
    else:
        yield f"nothing to delete; {_kept_count(report)}"
    if any(done):
        yield garbage_collection(report.registry)


def _kept_count(report: Report) -> str:
    return pluralize(len(report.kept), "image is kept", "images are kept")


def garbage_collection(registry: str) -> str:
    """Return instructions for freeing a registry's space."""
    return _GARBAGE.format(registry=registry)


def _table(report: Report) -> Iterator[str]:
    from fedpkg_container.commands.terminal import format_table

    rows = [("WHAT", "AGE", "SIZE", "WHY")]
    for entry in report.emptied:
        tags = pluralize(entry.staged.tags, "image")
        why = _with_result(entry.result, f"task {entry.staged.task_id} has ended")
        rows.append((f"{entry.staged.repository} ({tags})", "", "", why))
    rows += [_image_row(image) for image in report.images]
    if len(rows) > 1:
        yield from format_table(rows, right=(1, 2))
        yield ""


def _image_row(image: PrunedImage) -> tuple[str, str, str, str]:
    size = "?" if image.size is None else _bytes(image.size)
    return (
        _name(image.repository, image.decision),
        _age(image.decision),
        size,
        _with_result(image.result, image.decision.why),
    )


def _with_result(result: DeletionResult, why: str) -> str:
    if result.problem:
        return f"{why}; not deleted: {result.problem}"
    return f"kept: {result.needed}" if result.needed else why


def _name(repository: str, decision: Decision) -> str:
    first, *more = decision.tags
    return f"{repository}:{first}" + (f" (+{len(more)})" if more else "")


def _age(decision: Decision) -> str:
    from fedpkg_container.registry.pruning.retention import DAY

    return "?" if decision.age is None else f"{decision.age / DAY:.0f} d"


def _bytes(number: int) -> str:
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}"
        number //= 1000
    return f"{number} GB"


def _kept_lines(report: Report) -> Iterator[str]:
    """Yield what is kept although it might be unneeded, and problems."""
    for image in report.kept:
        if image.decision.is_age_unknown:
            yield f"kept {_name(image.repository, image.decision)}: {image.decision.why}"
    for staged in report.waiting:
        why = "its task is unknown to Koji" if staged.ended is None else f"task {staged.task_id} has not ended"
        yield f"kept {staged.repository}: {why}"
    for text in report.problems:
        yield f"problem: {text}"
    reasons = Counter(image.decision.why for image in report.kept if not image.decision.is_age_unknown)
    if reasons and not report.deletes:
        yield f"{pluralize(sum(reasons.values()), 'image is', 'images are')} needed or recent"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    action = parser.add_mutually_exclusive_group()
    action.add_argument(
        "--delete", action="store_true", help="actually delete (default: only show what would be deleted)"
    )
    action.add_argument("--dry-run", action="store_true", help="show what would be deleted (the default)")
    parser.add_argument(
        "--older-than",
        type=whole_number("days", 5),
        metavar="DAYS",
        help="delete unneeded candidates older than DAYS (default: [candidate] keep)",
    )
    parser.add_argument("--staging", action="store_true", help="only prune staging repositories")
    parser.add_argument("--candidates", action="store_true", help="only prune candidates")
    parser.add_argument("--json", action="store_true", help="print a JSON report")


def run(arguments: argparse.Namespace, site: DistributionSite) -> int:
    """Run the command and return the exit status."""
    from fedpkg_container.commands.terminal import print_json, print_lines, print_stderr
    from fedpkg_container.hub.image_records import KojiRecords
    from fedpkg_container.hub.session import anonymous_session
    from fedpkg_container.registry.pruning.pruner import PruneOptions, Pruner

    both = arguments.staging == arguments.candidates
    wanted = PruneOptions(
        keep=arguments.older_than or site.candidates.keep,
        deletes=arguments.delete,
        staging=both or arguments.staging,
        candidates=both or arguments.candidates,
    )
    report = Pruner(site, KojiRecords(anonymous_session(site.profile)), wanted, notice=print_stderr).run()
    if arguments.json:
        print_json({**report.to_json(), "garbage_collection": garbage_collection(report.registry)})
    else:
        print_lines(*lines(report))
    return 1 if report.failed else 0
