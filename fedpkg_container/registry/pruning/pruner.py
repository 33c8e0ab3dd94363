"""A whole prune: everything is read and decided before anything is deleted, and each repository once more then."""

from __future__ import annotations

import contextlib
import email.utils
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from fedpkg_container.errors import (
    ConfigurationError,
    FedpkgContainerError,
    NoSuchImageError,
    RegistryError,
    RegistryUnavailableError,
)
from fedpkg_container.model.koji_images import ImageRecords
from fedpkg_container.registry import staging
from fedpkg_container.registry.config import DistributionSite
from fedpkg_container.registry.http import RegistryHTTP
from fedpkg_container.registry.manifests import DEEPEST_LIST
from fedpkg_container.registry.pruning.inventory import PARALLEL, mark, take
from fedpkg_container.registry.pruning.plan import Judgement, size
from fedpkg_container.registry.pruning.report import Emptied, Kept, Outcome, Pruned, Report
from fedpkg_container.registry.pruning.retention import DAY, Needs, Verdict
from fedpkg_container.registry.referrers import fallback_tag, referrers
from fedpkg_container.registry.repository import Repository, repositories
from fedpkg_container.registry.skopeo import Registry


class ChangedError(FedpkgContainerError):
    """A repository is not any more what it was when it was judged."""


@dataclass
class Deletion:
    """Deletes what was judged.

    :param after: called after each request that changed something: a place where tests stop it
    """

    repository: Repository
    judgement: Judgement
    after: Callable[[str], None] = lambda _: None
    _marks: set[str] = field(default_factory=set)

    def delete(self, image: Verdict) -> None:
        """Delete an image, with what only it has.

        :raises ChangedError: somebody has changed the repository meanwhile; the image is still there
        :raises RegistryError: the registry cannot be reached, or refuses
        """
        self._check(image)
        below = [each for each in self.judgement.inventory.reach(image.digest)[1:] if self._goes(each)]
        for each in below:
            self._mark(each)
        self._delete(image.digest)
        for each in below:
            self._delete(each)

    def _goes(self, digest: str) -> bool:
        return digest not in self.judgement.stays

    def _check(self, image: Verdict) -> None:
        """Look once more whether everything is as it was."""
        inventory = self.judgement.inventory
        new = set(self.repository.tags()) - set(inventory.tags) - self._marks
        new = {tag for tag in new if tag not in inventory.empty or self.repository.head(tag)}
        if new:
            raise ChangedError(f"{self.repository.reference} has a new tag, {sorted(new)[0]}")
        for tag in image.tags:
            if self.repository.head(tag) not in (image.digest, ""):
                raise ChangedError(f"{self.repository.reference}:{tag} has been moved")

    def _mark(self, digest: str) -> None:
        if digest in self.judgement.inventory.by_digest:
            return
        try:
            manifest = self.repository.manifest(digest)
        except NoSuchImageError:
            return
        self._marks.add(mark(digest))
        self.repository.put_manifest(mark(digest), manifest)
        self.after(f"marked {digest}")

    def _delete(self, digest: str, depth: int = 0) -> None:
        """Delete a manifest, after what belongs to it."""
        if depth < DEEPEST_LIST:
            for each in self._belonging(digest):
                self._delete(each, depth + 1)
        if self.repository.delete_manifest(digest):
            self.after(f"deleted {digest}")

    def _belonging(self, digest: str) -> list[str]:
        """What belongs to an image, the list under its tag last: by that it is found."""
        found = [each.digest for each in referrers(self.repository, digest)]
        found += [each for each, owner in self.judgement.inventory.owners.items() if owner == digest]
        listed = self.repository.head(fallback_tag(digest))
        first = dict.fromkeys(each for each in found if each != listed)
        return [each for each in (*first, listed) if each and each != digest and self._goes(each)]


#: Seconds by which the clock of this machine may differ from the registry's.
SKEW = 3600.0
#: How often a repository is judged anew because somebody changes it meanwhile.
ATTEMPTS = 5


@dataclass(frozen=True)
class Wanted:
    """What is to be pruned.

    :param keep: days for which an image stays that nobody needs
    :param deletes: whether it is done, or only said
    """

    keep: int
    deletes: bool
    staging: bool = True
    candidates: bool = True


@dataclass(frozen=True)
class Pruner:
    """Prunes the candidate registry of a site.

    :param notice: gets a line for each thing that is deleted
    :param after: called after each request that changed something: a place where tests stop it
    """

    site: DistributionSite
    records: ImageRecords
    wanted: Wanted
    notice: Callable[[str], None] = lambda _: None
    after: Callable[[str], None] = lambda _: None

    def run(self) -> Report:
        """Find what nobody needs, and delete it when that is wanted.

        :raises RegistryError: the candidate registry or a target cannot be read: nothing has been deleted
        :raises LostContactError: Koji cannot be reached: nothing, or nothing more, is deleted
        :raises ConfigurationError: what the site says cannot be meant
        """
        with self._opened() as (http, needs):
            names = list(repositories(http))
            report = self._stage([Repository(http, name) for name in names if staging.is_staging(name)])
            places = [Repository(http, name) for name in self._candidates(names)]
            judged, problems = self._judge(places, needs)
            going = [(place, judgement, each) for place, judgement in judged.items() for each in judgement.going]
            with ThreadPoolExecutor(PARALLEL) as pool:
                sizes = list(pool.map(lambda each: size(each[0], each[1].inventory, each[2].digest), going))
            report = replace(
                report,
                images=[Pruned(place.name, each, bytes_) for (place, _, each), bytes_ in zip(going, sizes)],
                kept=[Kept(place.name, verdict) for place, judgement in judged.items() for verdict in judgement.kept],
                problems=problems,
            )
            return self._delete(report, judged, http, needs) if self.wanted.deletes else report

    @contextlib.contextmanager
    def _opened(self) -> Iterator[tuple[RegistryHTTP, Needs]]:
        """The candidate registry, and who may need something of it: all of them answer."""
        own = self.site.candidates
        with contextlib.ExitStack() as stack:
            http = stack.enter_context(Registry(own.access).http(own.registry))
            now = _agreed(http)
            targets = []
            for target in self.site.targets.values():
                there = stack.enter_context(Registry(target.access).http(target.registry))
                there.request("GET", "/v2/", expected=(200, 401, 403))
                targets.append((target, there))
            yield http, Needs(self.records, targets, now, self.wanted.keep * DAY)

    def _stage(self, places: Sequence[Repository]) -> Report:
        """A report of what is staged."""
        report = Report(self.site.candidates.registry, self.wanted.keep, self.wanted.deletes)
        if not self.wanted.staging:
            return report
        found = staging.staged(places, self.records)
        return replace(
            report,
            emptied=[Emptied(each) for each in found if each.ended],
            waiting=[each for each in found if not each.ended],
        )

    def _candidates(self, names: Sequence[str]) -> list[str]:
        """The repositories of candidates: those of targets may be in the same registry."""
        own = self.site.candidates.registry
        shared = [target for target in self.site.targets.values() if target.registry == own]
        for target in shared:
            if not target.prefix:
                raise ConfigurationError(
                    f"target {target.name} is the candidate registry {own} itself: all in it would be needed",
                    solution="give the target another registry, or a prefix",
                )
        if not self.wanted.candidates:
            return []
        taken = tuple(f"{target.prefix}/" for target in shared)
        return [each for each in names if not staging.is_staging(each) and not each.startswith(taken)]

    def _judge(self, places: Sequence[Repository], needs: Needs) -> tuple[dict[Repository, Judgement], list[str]]:
        """What is to become of some repositories, and what is wrong with those that cannot be read."""
        judged, problems = {}, []
        for place in places:
            try:
                inventory = take(place)
                _ = inventory.owners  # so that what cannot be read is found here
            except RegistryUnavailableError:
                raise
            except RegistryError as error:
                problems.append(f"{place.reference} is left alone: {error.reason}")
                continue
            judged[place] = Judgement(inventory, needs.verdicts(inventory))
        return judged, problems

    def _delete(
        self, report: Report, judged: Mapping[Repository, Judgement], http: RegistryHTTP, needs: Needs
    ) -> Report:
        emptied = [self._empty(each, Repository(http, each.staged.repository)) for each in report.emptied]
        outcomes: dict[tuple[str, str], Outcome] = {}
        for place, judgement in judged.items():
            if judgement.going:
                found = self._delete_in(place, {each.digest: each for each in judgement.going}, needs)
                outcomes.update({(place.name, digest): outcome for digest, outcome in found.items()})
        images = [replace(each, outcome=outcomes[each.repository, each.verdict.digest]) for each in report.images]
        return replace(report, emptied=emptied, images=images)

    def _empty(self, each: Emptied, place: Repository) -> Emptied:
        try:
            staging.clear(place)
        except RegistryUnavailableError:
            raise
        except RegistryError as error:
            return replace(each, outcome=Outcome(problem=_told(error)))
        self.notice(f"emptied {place.reference}")
        self.after(f"emptied {place.name}")
        return replace(each, outcome=Outcome(done=True))

    def _delete_in(self, place: Repository, wanted: Mapping[str, Verdict], needs: Needs) -> dict[str, Outcome]:
        """Delete in one repository those of some images that still nobody needs; what became of each."""
        outcomes: dict[str, Outcome] = {}
        for _ in range(ATTEMPTS):
            judged, problems = self._judge([place], needs)
            if problems:
                return {**dict.fromkeys(wanted, Outcome(problem=problems[0])), **outcomes}
            judgement = judged[place]
            for each in wanted.keys() - outcomes.keys() - judgement.inventory.by_digest.keys():
                outcomes[each] = Outcome(done=True)  # it went with another one, or by another hand
            outcomes.update(_spared(judgement, wanted.keys() - outcomes.keys(), wanted))
            try:
                self._delete_judged(place, judgement, wanted, outcomes)
            except ChangedError as error:
                self.notice(f"{error.reason}: it is judged anew")
                continue
            return outcomes
        problem = Outcome(problem="the repository is changed all the time by others")
        return {**dict.fromkeys(wanted, problem), **outcomes}

    def _delete_judged(
        self, place: Repository, judgement: Judgement, wanted: Collection[str], outcomes: dict[str, Outcome]
    ) -> None:
        deletion = Deletion(place, judgement, self.after)
        for verdict in judgement.going:
            if verdict.digest not in wanted or verdict.digest in outcomes:
                continue
            try:
                deletion.delete(verdict)
            except RegistryUnavailableError:
                raise
            except RegistryError as error:
                outcomes[verdict.digest] = Outcome(problem=_told(error))
                continue
            outcomes[verdict.digest] = Outcome(done=True)
            self.notice(f"deleted {place.reference}@{verdict.digest} ({', '.join(verdict.tags)})")


def _told(error: RegistryError) -> str:
    return f"{error.reason} ({error.solution})" if error.solution else error.reason


def _spared(judgement: Judgement, digests: Collection[str], before: Mapping[str, Verdict]) -> dict[str, Outcome]:
    """Those of some images that stay after all, or have a tag that they did not have before."""
    spared = {each.digest: Outcome(needed=each.why) for each in judgement.kept if each.digest in digests}
    for each in judgement.going:
        new = set(each.tags) - set(before[each.digest].tags) if each.digest in digests else set()
        if new:
            spared[each.digest] = Outcome(needed=f"it has got the tag {min(new)} meanwhile")
    return spared


def _agreed(http: RegistryHTTP) -> float:
    """What time it is, where this machine and a registry are of one mind: everything old would go after a wrong one."""
    answer = http.request("GET", "/v2/", expected=(200, 401, 403))
    now = time.time()
    try:
        theirs = email.utils.parsedate_to_datetime(answer.headers.get("Date", "")).timestamp()
    except (TypeError, ValueError):
        return now
    if abs(theirs - now) > SKEW:
        raise FedpkgContainerError(
            f"the clocks of this machine and of {http.host} differ by {abs(theirs - now) / 3600:.1f} hours",
            solution="set the wrong one: how old images are is told by it",
        )
    return now
