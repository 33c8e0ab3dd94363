# SPDX-License-Identifier: GPL-2.0-or-later
"""Candidates for promotion and the location of their images, by NVR or by Koji tag."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Union

import koji

from fedpkg_container.errors import UsageError
from fedpkg_container.hub.protocol import Call, HubSession
from fedpkg_container.hub.tasks import fault_message
from fedpkg_container.model.koji_images import Candidate, RecordedImage, RejectedCandidate, image_metadata
from fedpkg_container.model.koji_types import BuildInfo, TagInfo
from fedpkg_container.model.nvr import NVR
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.text import printable_line

#: Maximum number of calls in one request.
MAX_CALLS = 200

CandidateResult = Union[Candidate, RejectedCandidate]


def find_candidates(session: HubSession, nvrs: Sequence[str]) -> list[CandidateResult]:
    """Return the image of each build, or why the build cannot be promoted; duplicates are removed, order is kept.

    :param session: session to use; need not be logged in
    """
    requested = list(dict.fromkeys(nvrs))
    with session.multicall(strict=False, batch=MAX_CALLS) as multicall:
        calls = {nvr: (multicall.getBuild(nvr), multicall.listTags(nvr)) for nvr in requested if _is_nvr(nvr)}
    return [_candidate_result(nvr, *calls[nvr]) if nvr in calls else _invalid_nvr(nvr) for nvr in requested]


def tagged_candidates(session: HubSession, koji_tag: str) -> list[CandidateResult]:
    """Return the candidates among the latest builds of each package in a Koji tag, without inherited builds.

    :raises UsageError: if the tag does not exist
    """
    if session.getTag(koji_tag) is None:
        raise UsageError(
            f"the hub has no Koji tag {printable_line(koji_tag)}", solution="list the tags with: koji list-tags"
        )
    return find_candidates(
        session, [str(build["nvr"]) for build in session.listTagged(koji_tag, latest=True, type="image")]
    )


def _is_nvr(text: str) -> bool:
    try:
        return bool(koji.parse_NVR(text)) and text.isprintable() and text.isascii()
    except koji.GenericError:
        return False


def _invalid_nvr(nvr: str) -> RejectedCandidate:
    return RejectedCandidate(
        printable_line(nvr),
        f"{printable_line(nvr)!r} is not a valid NVR",
        "use the form NAME-VERSION-RELEASE",
    )


def _candidate_result(
    nvr: str, build_call: Call[BuildInfo | None], tags_call: Call[Sequence[TagInfo]]
) -> CandidateResult:
    try:
        build, tags = build_call.result, tags_call.result if build_call.result else []
    except koji.GenericError as error:
        return RejectedCandidate(nvr, f"the hub returned an error for {nvr}: {fault_message(str(error))}")
    if build is None:
        return RejectedCandidate(nvr, f"the hub has no build {nvr}", "list the builds: koji list-builds --package=NAME")
    return _candidate(nvr, build, [printable_line(str(tag["name"])) for tag in tags])


def _candidate(nvr: str, build: BuildInfo, koji_tags: Sequence[str]) -> CandidateResult:
    state = koji.BUILD_STATES[build["state"]]
    if state != "COMPLETE":
        return RejectedCandidate(nvr, f"{nvr} is in state {state}, not COMPLETE", "choose a build in state COMPLETE")
    recorded = RecordedImage.of(build)
    if recorded.by_digest is None:
        missing = "no pull spec with a digest" if recorded.pull else "no image"
        return RejectedCandidate(nvr, f"Koji has recorded {missing} for {nvr}", "choose a build of a container image")
    return Candidate(
        nvr=NVR(*(printable_line(str(build[part])) for part in ("name", "version", "release"))),
        image=recorded.by_digest,
        koji_tags=tuple(koji_tags),
        floating=tuple(sorted(recorded.floating_tags)),
        parents=tuple(_parents(build)),
    )


def _parents(build: BuildInfo) -> list[ImageReference]:
    """Return the parent images by digest, as recorded by a build."""
    image = image_metadata(build)
    parents = []
    for name in image.get("parent_image_builds") or {}:
        try:
            parents.append(ImageReference.parse(str(name)))
        except UsageError:
            continue
    return parents
