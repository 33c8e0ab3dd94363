# SPDX-License-Identifier: GPL-2.0-or-later
"""Output of ``promote`` and ``unpromote``, and their exit status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from rich.filesize import decimal

if TYPE_CHECKING:
    from fedpkg_container.registry.messages.outbox import Outbox
    from fedpkg_container.registry.promotion.result import PromotionResult
    from fedpkg_container.registry.promotion.tagging import TagChange


#: Number of missing blobs that are shown per mirror.
MAX_MISSING = 10


def status(results: Sequence[PromotionResult]) -> int:
    """Return the exit status: 0 if all builds succeeded, 1 if one failed, otherwise 8 (locks) or 9 (missing blobs)."""
    return min((result.exit_code or 1 for result in results if not result.succeeded), default=0)


def summary(results: Sequence[PromotionResult]) -> list[str]:
    """Return a line with the number of builds per state, if there are several builds."""
    counts = Counter(result.state for result in results)
    what = ", ".join(f"{number} {state}" for state, number in counts.items())
    return [f"{len(results)} builds: {what}"] if len(results) > 1 else []


def show(result: PromotionResult) -> None:
    """Print the result for a build: changes on standard output, errors on standard error."""
    from fedpkg_container.commands.terminal import print_error, print_lines, print_stderr
    from fedpkg_container.registry.promotion.result import FAILED, PLANNED, REFUSED, STAGED, UNCHANGED, WAITING

    if result.is_partial or result.state not in (FAILED, REFUSED, WAITING):
        is_plan = result.state == PLANNED
        outcomes = {UNCHANGED: "nothing to do", PLANNED: "would be done", FAILED: "not completed", STAGED: "staged"}
        outcome_text = outcomes.get(result.state, "done")
        print_lines(f"{result.nvr} in {result.repository}: {outcome_text}", *_details(result, is_plan=is_plan))
    for warning in result.warnings:
        print_stderr(f"warning: {result.nvr}: {warning}")
    if result.error:
        message = result.error if result.nvr in result.error else f"{result.nvr}: {result.error}"
        print_error(message, "\n".join([*_missing(result), result.solution]))


def _missing(result: PromotionResult) -> Iterator[str]:
    """Yield a line for each missing blob, up to ``MAX_MISSING`` per mirror."""
    for place, reasons in result.missing.items():
        for digest, reason in list(reasons.items())[:MAX_MISSING]:
            yield f"{place}: {digest}: {reason}"
        if len(reasons) > MAX_MISSING:
            yield f"{place}: {len(reasons) - MAX_MISSING} more, which --json lists"


def send_after(on_result: Callable[[PromotionResult], None], outbox: Outbox) -> Callable[[PromotionResult], None]:
    """Return a function that presents a result and sends the message about it."""
    if not outbox.is_used:
        return on_result
    outbox.prepare()  # before anything is changed

    def present_and_send(result: PromotionResult) -> None:
        on_result(result)
        outbox.send(wait=False)

    return present_and_send


def show_delivery(outbox: Outbox) -> dict[str, object]:
    """Send the remaining messages, print what could not be sent, and return the part of the report about messages."""
    from fedpkg_container.commands.terminal import print_stderr

    if not outbox.is_used:
        return {}
    delivery = outbox.send()
    if delivery.error:
        retried = "they are sent by the next promote, unpromote or send-messages"
        print_stderr(f"warning: {delivery.problem}", *(f"    {line}" for line in (delivery.solution, retried) if line))
    return {"messages": delivery.report()}


def _details(result: PromotionResult, *, is_plan: bool) -> list[str]:
    lines = [f"    {result.digest}"]
    if result.arches:
        lines.append(f"    arches: {', '.join(result.arches)}")
    lines += [f"    {_tag(change, is_plan=is_plan)}" for change in result.tags]
    if result.manifests:
        artifacts = f"; SBOMs and signatures: {result.artifacts}" if result.artifacts else ""
        copied = "manifests to be copied" if is_plan else "manifests copied"
        lines.append(f"    {copied}: {len(result.manifests)}{artifacts}")
    counts = result.blobs
    if counts.mounted or counts.sent or counts.present:
        to_be = "to be " if is_plan else ""
        parts = [
            f"{counts.mounted} {to_be}mounted ({decimal(counts.bytes_mounted)})" if counts.mounted else "",
            f"{counts.sent} {to_be}sent ({decimal(counts.bytes_sent)})" if counts.sent else "",
            f"{counts.present} already present" if counts.present else "",
        ]
        lines.append(f"    blobs: {', '.join(filter(None, parts))}")
    if result.signed:
        lines.append(f"    manifests {'to be signed' if is_plan else 'signed'}: {len(result.signed)}")
    if result.deleted:
        lines += [
            f"    {'to be deleted' if is_plan else 'deleted'}:",
            *(f"        {digest}" for digest in result.deleted),
        ]
    lines += [f"    {digest}  kept: {why}" for digest, why in result.kept.items()]
    if result.untagged:
        lines.append(f"    {'to be untagged' if is_plan else 'untagged'} in Koji: {', '.join(result.untagged)}")
    return lines


def _tag(change: TagChange, *, is_plan: bool) -> str:
    word = {"set": "would be set" if is_plan else "set", "already": "already set", "kept": "kept"}.get(
        change.what, "would be removed" if is_plan else "removed"
    )
    return f"{change.tag}  {word}{f': {change.why}' if change.why else ''}"
