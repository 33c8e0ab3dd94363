"""Delete what nobody needs from the candidate registry: staging of builds that have ended, and old candidates."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from fedpkg_container.commands.registry.arguments import whole_days
from fedpkg_container.text import pluralize

if TYPE_CHECKING:
    from fedpkg_container.registry.config import DistributionSite
    from fedpkg_container.registry.pruning.report import Outcome, Pruned, Report
    from fedpkg_container.registry.pruning.retention import Verdict

_GARBAGE = """\
The space comes back when {registry} collects its garbage, on its own
machine:
  1. storage.maintenance.readonly.enabled: true in its configuration, and
     restart it: what is pushed meanwhile may be deleted with the garbage
  2. docker-registry garbage-collect CONFIG (registry garbage-collect on Fedora);
     without --delete-untagged, which takes images out of lists that have a tag
  3. readonly.enabled: false again, and restart it: it remembers blobs that are
     gone"""


def lines(report: Report) -> Iterator[str]:
    """The report, line by line."""
    yield from _table(report)
    yield from _left(report)
    number, size = len(report.images), sum(each.size or 0 for each in report.images)
    done = sum(each.outcome.done for each in report.images), sum(each.outcome.done for each in report.emptied)
    if report.deletes and (number or report.emptied):
        emptied = pluralize(len(report.emptied), "staging repository")
        yield f"deleted: {done[0]} of {pluralize(number, 'image')}; emptied: {done[1]} of {emptied}"
    elif number or report.emptied:
        yield (
            f"{pluralize(number, 'image')} ({_bytes(size)}, layers shared with others counted too) and"
            f" {pluralize(len(report.emptied), 'staging repository')} would go; {_staying(report)}"
        )
        yield "nothing has been deleted: add --delete"
    else:
        yield f"nothing to delete; {_staying(report)}"
    if any(done):
        yield garbage_collection(report.registry)


def _staying(report: Report) -> str:
    return pluralize(len(report.kept), "image stays", "images stay")


def garbage_collection(registry: str) -> str:
    """How a registry's space comes back."""
    return _GARBAGE.format(registry=registry)


def _table(report: Report) -> Iterator[str]:
    rows = [("WHAT", "AGE", "SIZE", "WHY")]
    for each in report.emptied:
        tags = pluralize(each.staged.tags, "image")
        why = _with(each.outcome, f"task {each.staged.task_id} has ended")
        rows.append((f"{each.staged.repository} ({tags})", "", "", why))
    rows += [_row(each) for each in report.images]
    if len(rows) > 1:
        yield from _aligned(rows)
        yield ""


def _row(image: Pruned) -> tuple[str, str, str, str]:
    size = "?" if image.size is None else _bytes(image.size)
    return _name(image.repository, image.verdict), _age(image.verdict), size, _with(image.outcome, image.verdict.why)


def _with(outcome: Outcome, why: str) -> str:
    if outcome.problem:
        return f"{why}; not deleted: {outcome.problem}"
    return f"kept: {outcome.needed}" if outcome.needed else why


def _name(repository: str, verdict: Verdict) -> str:
    first, *more = verdict.tags
    return f"{repository}:{first}" + (f" (+{len(more)})" if more else "")


def _age(verdict: Verdict) -> str:
    from fedpkg_container.registry.pruning.retention import DAY

    return "?" if verdict.age is None else f"{verdict.age / DAY:.0f} d"


def _bytes(number: int) -> str:
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}"
        number //= 1000
    return f"{number} GB"


def _aligned(rows: Sequence[tuple[str, str, str, str]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for what, age, size, why in rows:
        yield f"{what:{widths[0]}}  {age:>{widths[1]}}  {size:>{widths[2]}}  {why}"


def _left(report: Report) -> Iterator[str]:
    """What stays although it may be meant to go, and what could not be read."""
    for each in report.kept:
        if each.verdict.is_ageless:
            yield f"kept {_name(each.repository, each.verdict)}: {each.verdict.why}"
    for place in report.waiting:
        why = "Koji does not know its task" if place.ended is None else f"task {place.task_id} has not ended"
        yield f"kept {place.repository}: {why}"
    for text in report.problems:
        yield f"problem: {text}"
    reasons = Counter(each.verdict.why for each in report.kept if not each.verdict.is_ageless)
    if reasons and not report.deletes:
        yield f"{pluralize(sum(reasons.values()), 'image is', 'images are')} needed, or young"


HELP = "delete staging and old candidates that nobody needs"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--delete", action="store_true", help="delete; otherwise it is only said what would go")
    parser.add_argument(
        "--older-than",
        type=whole_days,
        metavar="DAYS",
        help="delete candidates that are older; default: the site's keep",
    )
    parser.add_argument("--staging", action="store_true", help="only staging, unless --candidates is given too")
    parser.add_argument("--candidates", action="store_true", help="only candidates, unless --staging is given too")
    parser.add_argument("--json", action="store_true", help="print a report for programs")


def run(arguments: argparse.Namespace, site: DistributionSite) -> int:
    """Run the command; its exit status."""
    from fedpkg_container.commands.terminal import print_json, print_lines, print_stderr
    from fedpkg_container.hub.image_records import KojiRecords
    from fedpkg_container.hub.session import anonymous
    from fedpkg_container.registry.pruning.pruner import Pruner, Wanted

    both = arguments.staging == arguments.candidates
    wanted = Wanted(
        keep=arguments.older_than or site.candidates.keep,
        deletes=arguments.delete,
        staging=both or arguments.staging,
        candidates=both or arguments.candidates,
    )
    report = Pruner(site, KojiRecords(anonymous(site.profile)), wanted, notice=print_stderr).run()
    if arguments.json:
        print_json({**report.packed(), "garbage_collection": garbage_collection(report.registry)})
    else:
        print_lines(*lines(report))
    return 1 if report.failed else 0
