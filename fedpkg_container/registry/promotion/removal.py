"""What may be deleted with an image: what no other tag of its repository reaches, and what refers to that.

A registry that deletes a manifest deletes every tag of it, and lists of arches share images; so whatever another tag
reaches stays, with its referrers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fedpkg_container.errors import NoSuchImageError
from fedpkg_container.registry.manifests import DEEPEST_LIST
from fedpkg_container.registry.promotion.copying import Content
from fedpkg_container.registry.promotion.workers import Workers
from fedpkg_container.registry.referrers import fallback_tag, list_tag
from fedpkg_container.registry.repository import Repository


def heads_of(repository: Repository, tags: Sequence[str], requests: Workers) -> dict[str, str]:
    """What some tags of a repository point to in this moment; one that goes meanwhile is left out."""
    return {tag: head for tag, head in zip(tags, requests.each(repository.head, tags)) if head}


@dataclass(frozen=True)
class Removal:
    """What goes with an image.

    :param digests: in the order in which they are deleted: the image first, so that nobody gets half of it
    :param kept: what belongs to it and stays → why
    """

    digests: tuple[str, ...]
    kept: Mapping[str, str]


def plan_removal(repository: Repository, content: Content, heads: Mapping[str, str], requests: Workers) -> Removal:
    """See what can be deleted with an image.

    :param content: the image, with what belongs to it
    :param heads: what every tag of the repository points to
    """
    image = content.manifest.digest
    lists = {fallback_tag(each): each for each in content.digests}
    others = {tag: head for tag, head in heads.items() if head != image and list_tag(tag) not in lists}
    reached = _reached(repository, others, requests)
    kept: dict[str, str] = {}
    for digest in content.digests:  # artifacts come after what they are about
        if digest != image and digest in reached:
            kept[digest] = f"the tag {reached[digest]} has it too"
    for subject, artifacts in content.artifacts.items():
        if subject in kept:
            kept.update({each.digest: f"it is about {subject}, which stays" for each in artifacts})
    rest = [each for each in content.digests if each != image and each not in kept]
    there = requests.each(repository.head, rest)
    rest = [digest for digest, head in zip(rest, there) if head]
    belonging = {tag: lists[list_tag(tag)] for tag in heads if list_tag(tag) in lists}
    tagged = [heads[tag] for tag, subject in belonging.items() if subject not in kept]
    return Removal(tuple(dict.fromkeys([image, *rest, *tagged])), kept)


def go_on(repository: Repository, begun: Sequence[str], heads: Mapping[str, str], requests: Workers) -> Removal:
    """What an attempt has left that was interrupted when the image itself was gone already.

    :param begun: what was going to be deleted, the image first; empty where nothing was begun
    :param heads: what every tag of the repository points to
    """
    others = {tag: head for tag, head in heads.items() if head not in begun}
    reached = _reached(repository, others, requests)
    there = requests.each(repository.head, begun)
    left = [digest for digest, head in zip(begun, there) if head and digest not in reached]
    return Removal(tuple(dict.fromkeys([*begun[:1], *left])), {})


def _reached(repository: Repository, heads: Mapping[str, str], requests: Workers) -> dict[str, str]:
    """The digests that some tags reach → one of these tags."""
    reached = {head: tag for tag, head in heads.items()}
    frontier = list(reached)
    for _ in range(DEEPEST_LIST):
        members = requests.each(lambda digest: _members(repository, digest), frontier)
        found = {member: reached[digest] for digest, listed in zip(frontier, members) for member in listed}
        frontier = [each for each in found if each not in reached]
        reached.update({each: found[each] for each in frontier})
    return reached


def _members(repository: Repository, digest: str) -> list[str]:
    """What a list holds; nothing for another manifest, or one that is gone."""
    try:
        return [each.digest for each in repository.manifest(digest).manifests]
    except NoSuchImageError:
        return []
