"""How the outcomes of ``promote`` and ``unpromote`` are shown, and the exit status that they mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.filesize import decimal

if TYPE_CHECKING:
    from fedpkg_container.registry.promotion.result import Outcome
    from fedpkg_container.registry.promotion.tagging import TagChange


def status(outcomes: Sequence[Outcome]) -> int:
    """The exit status: 1 when one is refused or failed."""
    return 0 if all(each.is_good for each in outcomes) else 1


def summary(outcomes: Sequence[Outcome]) -> list[str]:
    """How many builds came to what, where there are several."""
    counts = Counter(each.state for each in outcomes)
    what = ", ".join(f"{number} {state}" for state, number in counts.items())
    return [f"{len(outcomes)} builds: {what}"] if len(outcomes) > 1 else []


def show(outcome: Outcome) -> None:
    """Show what became of a build: on standard output what was done, on standard error what is wrong."""
    from fedpkg_container.commands.terminal import print_error, print_lines
    from fedpkg_container.registry.promotion.result import FAILED, PLANNED, REFUSED, UNCHANGED

    if outcome.state not in (FAILED, REFUSED):
        is_plan = outcome.state == PLANNED
        done = "nothing to do" if outcome.state == UNCHANGED else "would be done" if is_plan else "done"
        print_lines(f"{outcome.nvr} in {outcome.repository}: {done}", *_details(outcome, is_plan=is_plan))
    if outcome.error:
        named = outcome.error if outcome.nvr in outcome.error else f"{outcome.nvr}: {outcome.error}"
        print_error(named, outcome.solution)


def _details(outcome: Outcome, *, is_plan: bool) -> list[str]:
    lines = [f"    {outcome.digest}"]
    if outcome.arches:
        lines.append(f"    arches: {', '.join(outcome.arches)}")
    lines += [f"    {_tag(each, is_plan=is_plan)}" for each in outcome.tags]
    if outcome.manifests:
        artifacts = f"; SBOMs and signatures: {outcome.artifacts}" if outcome.artifacts else ""
        copied = "manifests to be copied" if is_plan else "manifests copied"
        lines.append(f"    {copied}: {len(outcome.manifests)}{artifacts}")
    tally = outcome.blobs
    if tally.mounted or tally.sent or tally.present:
        to_be = "to be " if is_plan else ""
        parts = [
            f"{tally.mounted} {to_be}mounted ({decimal(tally.bytes_mounted)})" if tally.mounted else "",
            f"{tally.sent} {to_be}sent ({decimal(tally.bytes_sent)})" if tally.sent else "",
            f"{tally.present} there already" if tally.present else "",
        ]
        lines.append(f"    blobs: {', '.join(filter(None, parts))}")
    if outcome.deleted:
        lines += [f"    {'to be deleted' if is_plan else 'deleted'}:", *(f"        {each}" for each in outcome.deleted)]
    lines += [f"    {each}  stays: {why}" for each, why in outcome.kept.items()]
    return lines


def _tag(change: TagChange, *, is_plan: bool) -> str:
    word = {"set": "would be set" if is_plan else "set", "already": "is there", "kept": "stays"}.get(
        change.what, "would go" if is_plan else "removed"
    )
    return f"{change.tag}  {word}{f': {change.why}' if change.why else ''}"
