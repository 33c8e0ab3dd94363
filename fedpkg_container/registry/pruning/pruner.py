# SPDX-License-Identifier: GPL-2.0-or-later
"""Prune of the candidate registry: plan everything first, and plan each repository again before deleting in it."""

from __future__ import annotations

import contextlib
import email.utils
import logging
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
from fedpkg_container.registry.manifests import MAX_INDEX_DEPTH
from fedpkg_container.registry.pages import repositories
from fedpkg_container.registry.pruning.inventory import PARALLEL, read_inventory, temporary_tag
from fedpkg_container.registry.pruning.plan import PrunePlan, size
from fedpkg_container.registry.pruning.report import DeletionResult, EmptiedRepository, KeptImage, PrunedImage, Report
from fedpkg_container.registry.pruning.retention import DAY, Decision, RetentionPolicy
from fedpkg_container.registry.referrers import fallback_tag, referrers
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.skopeo import Registry
from fedpkg_container.steps import reached

_log = logging.getLogger(__name__)

#: Maximum difference between the clocks of this machine and the registry, seconds.
MAX_CLOCK_SKEW = 3600.0
#: Attempts to delete in a repository that other clients change concurrently.
MAX_ATTEMPTS = 5


class ChangedError(FedpkgContainerError):
    """A repository was changed after it was planned."""


@dataclass
class ImageDeleter:
    """Deletes the images of a plan."""

    repository: Repository
    plan: PrunePlan
    _temporary_tags: set[str] = field(default_factory=set)

    def delete(self, image: Decision) -> None:
        """Delete an image with everything that no other image shares.

        :raises ChangedError: if the repository was changed in the meantime; the image still exists
        :raises RegistryError: if a request fails
        """
        self._check(image)
        below = [digest for digest in self.plan.inventory.reach(image.digest)[1:] if self._is_to_delete(digest)]
        for digest in below:
            self._protect(digest)
        self._delete(image.digest)
        for digest in below:
            self._delete(digest)

    def _is_to_delete(self, digest: str) -> bool:
        return digest not in self.plan.kept_digests

    def _check(self, image: Decision) -> None:
        """Check that the repository is unchanged."""
        inventory = self.plan.inventory
        new = set(self.repository.tags()) - set(inventory.tags) - self._temporary_tags
        new = {tag for tag in new if tag not in inventory.empty or self.repository.head(tag)}
        if new:
            raise ChangedError(f"{self.repository.reference} has a new tag {sorted(new)[0]}")
        for tag in image.tags:
            if self.repository.head(tag) not in (image.digest, ""):
                raise ChangedError(f"{self.repository.reference}:{tag} was moved")

    def _protect(self, digest: str) -> None:
        if digest in self.plan.inventory.by_digest:
            return
        try:
            manifest = self.repository.manifest(digest)
        except NoSuchImageError:
            return
        self._temporary_tags.add(temporary_tag(digest))
        self.repository.put_manifest(temporary_tag(digest), manifest)
        reached("protected", digest=digest)

    def _delete(self, digest: str, depth: int = 0) -> None:
        """Delete a manifest, its artifacts first."""
        if depth < MAX_INDEX_DEPTH:
            for artifact in self._belonging(digest):
                self._delete(artifact, depth + 1)
        if self.repository.delete_manifest(digest):
            reached("deleted", digest=digest)

    def _belonging(self, digest: str) -> list[str]:
        """Return what belongs to an image, its referrers index last, because the others are found by it."""
        artifacts = [referrer.digest for referrer in referrers(self.repository, digest)]
        artifacts += [artifact for artifact, owner in self.plan.inventory.owners.items() if owner == digest]
        referrers_index = self.repository.head(fallback_tag(digest))
        first = dict.fromkeys(artifact for artifact in artifacts if artifact != referrers_index)
        return [
            artifact
            for artifact in (*first, referrers_index)
            if artifact and artifact != digest and self._is_to_delete(artifact)
        ]


@dataclass(frozen=True)
class PruneOptions:
    """What to prune.

    :param keep: retention period of unneeded images, days
    :param deletes: delete, or only report
    """

    keep: int
    deletes: bool
    staging: bool = True
    candidates: bool = True


@dataclass(frozen=True)
class Pruner:
    """Prunes the candidate registry of a site.

    :param notice: called with a line for each deletion
    """

    site: DistributionSite
    records: ImageRecords
    options: PruneOptions
    notice: Callable[[str], None] = lambda _: None

    def run(self) -> Report:
        """Find unneeded images, and delete them if requested.

        :raises RegistryError: if the candidate registry or a target cannot be read; nothing was deleted
        :raises LostContactError: if Koji cannot be reached; nothing more is deleted
        :raises ConfigurationError: if the configuration is contradictory
        """
        with self._open() as (http, policy):
            names = list(repositories(http))
            report = self._staging_report([Repository(http, name) for name in names if staging.is_staging(name)])
            repos = [Repository(http, name) for name in self._candidate_repositories(names)]
            plans, problems = self._make_plans(repos, policy)
            to_delete = [
                (repository, plan, decision) for repository, plan in plans.items() for decision in plan.to_delete
            ]
            with ThreadPoolExecutor(PARALLEL) as pool:
                sizes = list(pool.map(lambda item: size(item[0], item[1].inventory, item[2].digest), to_delete))
            report = replace(
                report,
                images=[
                    PrunedImage(repository.name, decision, bytes_)
                    for (repository, _, decision), bytes_ in zip(to_delete, sizes)
                ],
                kept=[
                    KeptImage(repository.name, decision)
                    for repository, plan in plans.items()
                    for decision in plan.to_keep
                ],
                problems=problems,
            )
            return self._delete(report, plans, http, policy) if self.options.deletes else report

    @contextlib.contextmanager
    def _open(self) -> Iterator[tuple[RegistryHTTP, RetentionPolicy]]:
        """Open the candidate registry and all targets, and yield the registry with the retention policy."""
        candidates = self.site.candidates
        with contextlib.ExitStack() as stack:
            http = stack.enter_context(Registry(candidates.access).http(candidates.registry))
            now = _checked_time(http)
            targets = []
            for target in self.site.targets.values():
                target_http = stack.enter_context(Registry(target.access).http(target.registry))
                target_http.request("GET", "/v2/", expected=(200, 401, 403))
                targets.append((target, target_http))
            yield http, RetentionPolicy(self.records, targets, now, self.options.keep * DAY)

    def _staging_report(self, repos: Sequence[Repository]) -> Report:
        """Return a report of the staging repositories."""
        report = Report(self.site.candidates.registry, self.options.keep, self.options.deletes)
        if not self.options.staging:
            return report
        staged = staging.list_staged(repos, self.records)
        return replace(
            report,
            emptied=[EmptiedRepository(repo) for repo in staged if repo.ended],
            waiting=[repo for repo in staged if not repo.ended],
        )

    def _candidate_repositories(self, names: Sequence[str]) -> list[str]:
        """Return the candidate repositories, without those of targets in the same registry."""
        candidate = self.site.candidates.registry
        shared = [target for target in self.site.targets.values() if target.registry == candidate]
        for target in shared:
            if not target.prefix:
                raise ConfigurationError(
                    f"target {target.name} is the candidate registry {candidate} itself, so all its images are needed",
                    solution="use another registry for the target, or set a prefix",
                )
        if not self.options.candidates:
            return []
        taken = tuple(f"{target.prefix}/" for target in shared)
        return [name for name in names if not staging.is_staging(name) and not name.startswith(taken)]

    def _make_plans(
        self, repos: Sequence[Repository], policy: RetentionPolicy
    ) -> tuple[dict[Repository, PrunePlan], list[str]]:
        """Return the plans of repositories, and the problems with those that cannot be read."""
        plans, problems = {}, []
        for repository in repos:
            try:
                inventory = read_inventory(repository)
                _ = inventory.owners  # raises for invalid manifests
            except RegistryUnavailableError:
                raise
            except RegistryError as error:
                problems.append(f"{repository.reference} is skipped: {error.reason}")
                continue
            plans[repository] = PrunePlan(inventory, policy.decide(inventory))
            to_keep, to_delete = plans[repository].to_keep, plans[repository].to_delete
            _log.info("%s: %d images needed, %d not", repository.reference, len(to_keep), len(to_delete))
            for decision in to_keep:
                _log.debug("%s@%s kept: %s", repository.reference, decision.digest, decision.why)
        return plans, problems

    def _delete(
        self, report: Report, plans: Mapping[Repository, PrunePlan], http: RegistryHTTP, policy: RetentionPolicy
    ) -> Report:
        emptied = [
            self._empty_staging(emptied_repository, Repository(http, emptied_repository.staged.repository))
            for emptied_repository in report.emptied
        ]
        results: dict[tuple[str, str], DeletionResult] = {}
        for repository, plan in plans.items():
            if plan.to_delete:
                repository_results = self._delete_in(
                    repository, {decision.digest: decision for decision in plan.to_delete}, policy
                )
                results.update({(repository.name, digest): result for digest, result in repository_results.items()})
        images = [replace(image, result=results[image.repository, image.decision.digest]) for image in report.images]
        return replace(report, emptied=emptied, images=images)

    def _empty_staging(self, emptied: EmptiedRepository, repository: Repository) -> EmptiedRepository:
        try:
            staging.delete_manifests(repository)
        except RegistryUnavailableError:
            raise
        except RegistryError as error:
            return replace(emptied, result=DeletionResult(problem=_problem_text(error)))
        _log.info("emptied %s", repository.reference)
        self.notice(f"emptied {repository.reference}")
        reached("emptied", repository=repository.name)
        return replace(emptied, result=DeletionResult(done=True))

    def _delete_in(
        self, repository: Repository, decisions: Mapping[str, Decision], policy: RetentionPolicy
    ) -> dict[str, DeletionResult]:
        """Delete images in one repository that are still unneeded; return the result for each."""
        results: dict[str, DeletionResult] = {}
        for _ in range(MAX_ATTEMPTS):
            plans, problems = self._make_plans([repository], policy)
            if problems:
                return {**dict.fromkeys(decisions, DeletionResult(problem=problems[0])), **results}
            plan = plans[repository]
            for digest in decisions.keys() - results.keys() - plan.inventory.by_digest.keys():
                results[digest] = DeletionResult(done=True)  # deleted with another image, or by another client
            results.update(_needed_now(plan, decisions.keys() - results.keys(), decisions))
            try:
                self._delete_planned(repository, plan, decisions, results)
            except ChangedError as error:
                _log.info("%s; planning it again", error.reason)
                self.notice(f"{error.reason}; planning it again")
                continue
            return results
        problem = DeletionResult(problem="the repository keeps changing")
        return {**dict.fromkeys(decisions, problem), **results}

    def _delete_planned(
        self, repository: Repository, plan: PrunePlan, decisions: Collection[str], results: dict[str, DeletionResult]
    ) -> None:
        deleter = ImageDeleter(repository, plan)
        for decision in plan.to_delete:
            if decision.digest not in decisions or decision.digest in results:
                continue
            try:
                deleter.delete(decision)
            except RegistryUnavailableError:
                raise
            except RegistryError as error:
                results[decision.digest] = DeletionResult(problem=_problem_text(error))
                continue
            results[decision.digest] = DeletionResult(done=True)
            _log.info("deleted %s@%s: %s", repository.reference, decision.digest, decision.why)
            self.notice(f"deleted {repository.reference}@{decision.digest} ({', '.join(decision.tags)})")


def _problem_text(error: RegistryError) -> str:
    return f"{error.reason} ({error.solution})" if error.solution else error.reason


def _needed_now(plan: PrunePlan, digests: Collection[str], before: Mapping[str, Decision]) -> dict[str, DeletionResult]:
    """Return results for images that are needed now, or have a new tag."""
    spared = {
        decision.digest: DeletionResult(needed=decision.why) for decision in plan.to_keep if decision.digest in digests
    }
    for decision in plan.to_delete:
        new = set(decision.tags) - set(before[decision.digest].tags) if decision.digest in digests else set()
        if new:
            spared[decision.digest] = DeletionResult(needed=f"it was given the tag {min(new)} in the meantime")
    return spared


def _checked_time(http: RegistryHTTP) -> float:
    """Return the current time after comparing it with the registry's: a wrong clock would make every image look old."""
    response = http.request("GET", "/v2/", expected=(200, 401, 403))
    now = time.time()
    try:
        registry_time = email.utils.parsedate_to_datetime(response.headers.get("Date", "")).timestamp()
    except (TypeError, ValueError):
        return now
    if abs(registry_time - now) > MAX_CLOCK_SKEW:
        raise FedpkgContainerError(
            f"the clocks of this machine and of {http.host} differ by {abs(registry_time - now) / 3600:.1f} hours",
            solution="fix whichever clock is wrong; image ages are computed from it",
        )
    return now
