"""Candidates for promotion and the location of their images, by NVR or by Koji tag."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Union

import koji

from fedpkg_container.errors import UsageError
from fedpkg_container.hub.tasks import one_sentence
from fedpkg_container.model.build import NVR
from fedpkg_container.model.koji_images import Candidate, NoCandidate, RecordedImage, image_of
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.text import printable_line

#: Maximum number of calls in one request.
BATCH = 200

Found = Union[Candidate, NoCandidate]


def candidates(session: Any, nvrs: Sequence[str]) -> list[Found]:
    """Return the image of each build, or why the build cannot be promoted; duplicates are removed, order is kept.

    :param session: session to use; need not be logged in
    """
    requested = list(dict.fromkeys(nvrs))
    with session.multicall(strict=False, batch=BATCH) as multicall:
        calls = {nvr: (multicall.getBuild(nvr), multicall.listTags(nvr)) for nvr in requested if _is_nvr(nvr)}
    return [_found(nvr, *calls[nvr]) if nvr in calls else _no_name(nvr) for nvr in requested]


def tagged(session: Any, koji_tag: str) -> list[Found]:
    """Return the candidates among the latest builds of each package in a Koji tag, without inherited builds.

    :raises UsageError: if the tag does not exist
    """
    if session.getTag(koji_tag) is None:
        raise UsageError(
            f"the hub has no Koji tag {printable_line(koji_tag)}", solution="list the tags with: koji list-tags"
        )
    return candidates(session, [str(build["nvr"]) for build in session.listTagged(koji_tag, latest=True, type="image")])


def _is_nvr(text: str) -> bool:
    try:
        return bool(koji.parse_NVR(text)) and text.isprintable() and text.isascii()
    except koji.GenericError:
        return False


def _no_name(nvr: str) -> NoCandidate:
    return NoCandidate(
        printable_line(nvr),
        f"{printable_line(nvr)!r} is not a valid NVR",
        "use the form NAME-VERSION-RELEASE",
    )


def _found(nvr: str, build_call: Any, tags_call: Any) -> Found:
    try:
        build, tags = build_call.result, tags_call.result if build_call.result else []
    except koji.GenericError as error:
        return NoCandidate(nvr, f"the hub returned an error for {nvr}: {one_sentence(str(error))}")
    if build is None:
        return NoCandidate(nvr, f"the hub has no build {nvr}", "check the NVR with: koji list-builds --package=NAME")
    return _candidate(nvr, build, [printable_line(str(tag["name"])) for tag in tags])


def _candidate(nvr: str, build: Mapping[str, Any], koji_tags: Sequence[str]) -> Found:
    state = koji.BUILD_STATES[build["state"]]
    if state != "COMPLETE":
        return NoCandidate(nvr, f"{nvr} is in state {state}, not COMPLETE", "choose a build in state COMPLETE")
    recorded = RecordedImage.of(build)
    if recorded.by_digest is None:
        missing = "no pull spec with a digest" if recorded.pull else "no image"
        return NoCandidate(nvr, f"Koji has recorded {missing} for {nvr}", "choose a build of a container image")
    return Candidate(
        nvr=NVR(*(printable_line(str(build[part])) for part in ("name", "version", "release"))),
        image=recorded.by_digest,
        koji_tags=tuple(koji_tags),
        floating=tuple(sorted(recorded.floating_tags)),
        parents=tuple(_parents(build)),
    )


def _parents(build: Mapping[str, Any]) -> list[ImageReference]:
    """Return the parent images by digest, as recorded by a build."""
    image = image_of(build)
    parents = []
    for name in image.get("parent_image_builds") or {}:
        try:
            parents.append(ImageReference.parse(str(name)))
        except UsageError:
            continue
    return parents
