"""What a record says of repositories: which build a digest is, what is promoted now, and what a tag meant before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from fedpkg_container.registry.promotion.record import DONE, PROMOTE, Entry


@dataclass
class RepositoryHistory:
    """One repository; targets may share it, with floating tags of their own.

    :param builds: digest → NVR
    :param promoted: digest → target → the change that brought it there, of those that were not deleted
    :param tags: digest → target → tags that were set, or were going to be
    :param unfinished: digest → its last change, where that was begun and not done
    :param holders: tag → digests that it pointed to, the last one at the end
    """

    builds: dict[str, str] = field(default_factory=dict)
    promoted: defaultdict[str, dict[str, Entry]] = field(default_factory=lambda: defaultdict(dict))
    tags: defaultdict[str, defaultdict[str, set[str]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(set))
    )
    unfinished: dict[str, Entry] = field(default_factory=dict)
    holders: dict[str, list[str]] = field(default_factory=dict)

    def add(self, entry: Entry) -> None:
        """What comes next in the record."""
        self.builds[entry.digest] = entry.nvr
        if entry.what == PROMOTE:
            self.tags[entry.digest][entry.target].update(entry.tags)
        if entry.state != DONE:
            self.unfinished[entry.digest] = entry
            return
        self.unfinished.pop(entry.digest, None)
        if entry.what == PROMOTE:
            self.promoted[entry.digest][entry.target] = entry
        else:
            self._take_back(entry)
        for tag, move in entry.tags.items():
            self._hold(tag, move.before if entry.what == PROMOTE else "")
            self._hold(tag, move.after)

    def before(self, tag: str, digest: str) -> list[str]:
        """What a tag pointed to before a digest, the last first."""
        held = self.holders.get(tag, [])
        if digest in held:
            held = held[: len(held) - 1 - held[::-1].index(digest)]
        return [each for each in dict.fromkeys(reversed(held)) if each != digest]

    def would_forget(self, digest: str) -> bool:
        """Whether there are tags that could come back to a digest."""
        return any(digest in held[:-1] for held in self.holders.values())

    def digests(self, nvr: str, target: str) -> list[str]:
        """The digests under which a build came to a target, the last first."""
        return [digest for digest, name in reversed(self.builds.items()) if name == nvr and target in self.tags[digest]]

    def _take_back(self, entry: Entry) -> None:
        gone = entry.digest in entry.deleted
        if gone:
            self.promoted.pop(entry.digest, None)
        for tag, held in self.holders.items():
            if gone or tag in entry.tags or held[-1:] != [entry.digest]:  # else the tag could not be moved back
                self.holders[tag] = [each for each in held if each != entry.digest]

    def _hold(self, tag: str, digest: str) -> None:
        held = self.holders.setdefault(tag, [])
        if digest and (not held or held[-1] != digest):
            held.append(digest)


class History:
    """All repositories of a record."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._repositories: defaultdict[str, RepositoryHistory] = defaultdict(RepositoryHistory)
        for each in entries:
            self._repositories[each.repository].add(each)

    def of(self, repository: str) -> RepositoryHistory:
        """One repository; empty where nothing is known.

        :param repository: with its registry
        """
        return self._repositories.get(repository) or RepositoryHistory()

    def repositories(self) -> list[str]:
        """Those of which something is known, with their registries."""
        return list(self._repositories)
