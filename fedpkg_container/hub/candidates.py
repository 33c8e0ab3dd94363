"""Which builds may be promoted, and where their images are: by NVR, or all that a tag of Koji holds."""

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

#: Calls in one request.
BATCH = 200

Found = Union[Candidate, NoCandidate]


def candidates(session: Any, nvrs: Sequence[str]) -> list[Found]:
    """The images of some builds, or why there is none: each build once, in the order given.

    :param session: need not be logged in
    """
    asked = list(dict.fromkeys(nvrs))
    named = [each for each in asked if _is_nvr(each)]
    with session.multicall(strict=False, batch=BATCH) as calls:
        answers = {each: (calls.getBuild(each), calls.listTags(each)) for each in named}
    return [_found(each, *answers[each]) if each in answers else _no_name(each) for each in asked]


def tagged(session: Any, koji_tag: str) -> list[Found]:
    """The images of the builds that are the latest of their packages in a tag; inherited ones are not among them.

    :raises UsageError: the hub has no such tag
    """
    if session.getTag(koji_tag) is None:
        raise UsageError(
            f"the hub has no tag {printable_line(koji_tag)}", solution="see which there are: koji list-tags"
        )
    return candidates(session, [str(each["nvr"]) for each in session.listTagged(koji_tag, latest=True, type="image")])


def _is_nvr(text: str) -> bool:
    try:
        return bool(koji.parse_NVR(text)) and text.isprintable() and text.isascii()
    except koji.GenericError:
        return False


def _no_name(nvr: str) -> NoCandidate:
    return NoCandidate(
        printable_line(nvr),
        f"{printable_line(nvr)!r} is no NVR",
        "write NAME-VERSION-RELEASE",
    )


def _found(nvr: str, build_call: Any, tags_call: Any) -> Found:
    try:
        build, tags = build_call.result, tags_call.result if build_call.result else []
    except koji.GenericError as error:
        return NoCandidate(nvr, f"the hub answers for {nvr}: {one_sentence(str(error))}")
    if build is None:
        return NoCandidate(nvr, f"the hub knows no build {nvr}", "check the NVR: koji list-builds --package=NAME")
    return _candidate(nvr, build, [printable_line(str(each["name"])) for each in tags])


def _candidate(nvr: str, build: Mapping[str, Any], koji_tags: Sequence[str]) -> Found:
    state = koji.BUILD_STATES[build["state"]]
    if state != "COMPLETE":
        return NoCandidate(nvr, f"{nvr} is {state}, not COMPLETE", "promote a build that has ended well")
    recorded = RecordedImage.of(build)
    if recorded.by_digest is None:
        what = "no pull spec with a digest" if recorded.pull else "no image"
        return NoCandidate(nvr, f"Koji recorded {what} for {nvr}", "promote a build of an image")
    return Candidate(
        nvr=NVR(*(printable_line(str(build[part])) for part in ("name", "version", "release"))),
        image=recorded.by_digest,
        koji_tags=tuple(koji_tags),
        floating=tuple(sorted(recorded.floating_tags)),
        parents=tuple(_parents(build)),
    )


def _parents(build: Mapping[str, Any]) -> list[ImageReference]:
    """The images by digest that a build recorded as those that it was built on."""
    image = image_of(build)
    found = []
    for name in image.get("parent_image_builds") or {}:
        try:
            found.append(ImageReference.parse(str(name)))
        except UsageError:
            continue
    return found
