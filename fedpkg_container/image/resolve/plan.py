# SPDX-License-Identifier: GPL-2.0-or-later
"""The build plan: all decisions made before anything is built, including NVR and repository."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import koji

from fedpkg_container.distgit.additional_tags import AdditionalTags
from fedpkg_container.distgit.container_yaml import ContainerYaml
from fedpkg_container.distgit.dockerfile import Dockerfile
from fedpkg_container.distgit.dockerfile_facts import BuildFacts
from fedpkg_container.distgit.dockerfile_versions import parse_version
from fedpkg_container.engines import versions
from fedpkg_container.errors import BuildFailedError
from fedpkg_container.image.building.labels import build_labels
from fedpkg_container.image.building.recipe import release_environment
from fedpkg_container.image.resolve import checks, names
from fedpkg_container.image.resolve.identity import ArchReadings, Identity
from fedpkg_container.image.resolve.lookaside import read_sources
from fedpkg_container.image.resolve.names import check_component, check_owner, check_reserved
from fedpkg_container.image.resolve.parents import Parent, ParentResolver
from fedpkg_container.image.resolve.repo_files import fetch_repo_file
from fedpkg_container.image.task import BuildContext
from fedpkg_container.model.build import BuildSpec
from fedpkg_container.model.findings import ERROR
from fedpkg_container.model.nvr import NVR
from fedpkg_container.model.platforms import platform_of
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry import staging
from fedpkg_container.registry.skopeo import Registry

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """The plan of a build.

    :param yum_repository: path of the build tag's repository below Koji's topdir; empty for none
    :param repo_files: contents of the .repo files of ``--repo-url``, by name
    :param network: network of RUN
    """

    dockerfile: Dockerfile
    container_yaml: ContainerYaml
    identity: Identity
    parents: list[Parent]
    floating_tags: names.RequestedFloatingTags
    yum_repository: str
    repo_files: Mapping[str, str]
    network: str


@dataclass(frozen=True)
class Planner:
    """Makes the plan of a build."""

    context: BuildContext

    @property
    def _registry(self) -> Registry:
        return Registry(self.context.config.preparation_access(self.context.deadline))

    def plan(self) -> Plan:
        """Return the plan.

        :raises BuildFailedError: if the source or the options are not valid on this site, or the deadline has passed
        :raises RegistryError: if a parent image does not exist, or its registry is unavailable
        """
        container_yaml, tags = self._read_build_files()
        context = self.context
        readings = ArchReadings.read(context.checkout, context.task.arches, self._facts(container_yaml))
        sources = [entry.file for entry in read_sources(context.checkout)]
        for dockerfile in readings.by_platform.values():
            checks.check_instructions(dockerfile)
        parents = None
        if readings.needs_parents:
            resolver = self._resolver
            parents = self._parents(readings, resolver)
            readings = readings.with_parents(
                {
                    platform: {parent.name: resolver.config_of(parent, platform) for parent in parents}
                    for platform in readings.by_platform
                }
            )
        for dockerfile in readings.by_platform.values():
            checks.check_sources(dockerfile, context.checkout, lookaside=sources)
        identity = readings.identify(context.task.options)
        self._check_package(identity)
        _log.info(
            "planned %s-%s, release %s, repository %s, architectures %s",
            identity.component,
            identity.version,
            identity.release or "chosen by the hub",
            identity.repository_path,
            " ".join(self.context.task.arches),
        )
        floating = names.RequestedFloatingTags(self.context.config.floating_tag_sources, container_yaml.tags, tags.tags)
        repo_files = self._repo_files()
        return Plan(
            dockerfile=readings.first,
            container_yaml=container_yaml,
            identity=identity,
            floating_tags=floating,
            network=self._network(repo_files),
            parents=self._parents(readings, self._resolver) if parents is None else parents,
            yum_repository=self._yum_repository(),
            repo_files=repo_files,
        )

    def _read_build_files(self) -> tuple[ContainerYaml, AdditionalTags]:
        """Return container.yaml and additional-tags, which must have no errors."""
        container_yaml, tags = ContainerYaml.read(self.context.checkout), AdditionalTags.read(self.context.checkout)
        errors = [finding for finding in (*container_yaml.findings, *tags.findings) if finding.severity == ERROR]
        errors += container_yaml.refused
        if errors:
            first = errors[0]
            more = f" (and {len(errors) - 1} more)" if errors[1:] else ""
            raise BuildFailedError(f"{first.located_message}{more}", solution=first.solution)
        for finding in container_yaml.findings:
            if finding.code == "yaml-replaced":
                self.context.log.report(finding.located_message)
        return container_yaml, tags

    def _check_package(self, identity: Identity) -> None:
        """Check that the package may be built into this tag and repository; a scratch build uses neither."""
        if self.context.task.scratch:
            return
        task, config, session = self.context.task, self.context.config, self.context.session
        component, tag = identity.component, task.target["dest_tag_name"]
        check_component(component, task.source_url, config.components)
        check_reserved(identity.repository_path, component, config.repositories)
        if not session.checkTagPackage(task.target["dest_tag"], component):
            raise BuildFailedError(
                f"package {component} is not listed in Koji tag {tag}, or is blocked there",
                solution=f"a release engineer can add it: koji add-pkg --owner … {tag} {component}",
            )
        with self._registry.repository(ImageReference(config.candidate, identity.repository_path)) as repository:
            check_owner(repository, component, session.getBuild)

    def _facts(self, container_yaml: ContainerYaml) -> BuildFacts:
        """Return what is known of the build on every architecture."""
        environment = dict.fromkeys(release_environment(container_yaml, ""))
        version = parse_version(versions.installed("buildah"))
        return BuildFacts(arguments=self.context.config.build_arguments, environment=environment, version=version)

    @property
    def _resolver(self) -> ParentResolver:
        context = self.context
        platforms = [platform_of(arch) for arch in context.task.arches]
        return ParentResolver(context.config, self._registry, platforms, context.session.getBuild)

    def _parents(self, readings: ArchReadings, resolver: ParentResolver) -> list[Parent]:
        context = self.context
        override = context.task.options.get("koji_parent_build") or ""
        parents = resolver.resolve(readings.first, override, readings.by_platform)
        for parent in parents:
            koji_build = f" (Koji build {parent.build['nvr']})" if parent.build else ""
            if not parent.build:
                _log.info("no Koji build found for the parent image %s", parent.name)
            context.log.report(f"parent {parent.name} is {parent.pinned}{koji_build}")
        return parents

    def _repo_files(self) -> dict[str, str]:
        """Return the .repo files of ``--repo-url``, downloaded once for all architectures."""
        urls = self.context.task.options.get("yum_repourls") or []
        guard, deadline = self.context.config.address_guard, self.context.deadline
        return {
            f"repo-url-{number}": fetch_repo_file(url, guard=guard, deadline=deadline)
            for number, url in enumerate(urls, 1)
        }  # fmt: skip

    def _network(self, repo_files: Mapping[str, str]) -> str:
        """Return the network of RUN: none, unless the site sets one or repositories are not in Koji."""
        context, target = self.context, self.context.task.target
        network = context.config.network
        if network not in ("auto", "none"):
            _log.info("network of RUN: %s, as configured", network)
            return network
        remote = [
            name
            for name, text in repo_files.items()
            if not all(context.koji_topdir.localize(name, text, arch).complete for arch in context.task.arches)
        ]
        # Their packages are listed in the build tag's repository, but downloaded from the external one.
        external = [
            repository["external_repo_name"] for repository in context.session.getExternalRepoList(target["build_tag"])
        ]
        if network == "auto":
            network = "isolated" if remote or external else "none"
            _log.info("network of RUN: %s; repositories that need one: %d", network, len(remote) + len(external))
            return network
        if remote:
            raise BuildFailedError(
                "repositories of --repo-url need network access, which is disabled for builds on this site",
                solution="build without --repo-url, or pass repositories of this Koji",
            )
        if external:
            context.log.report(
                f"packages of the external repositories {', '.join(external)} of {target['build_tag_name']} cannot be"
                " installed: network access is disabled for builds on this site"
            )
        return "none"

    def _yum_repository(self) -> str:
        """Return the path of the build tag's repository below Koji's topdir; empty if it has none."""
        target = self.context.task.target
        repo = self.context.session.getRepo(target["build_tag"])
        if not repo:
            self.context.log.report(f"no repositories for RUN: Koji tag {target['build_tag_name']} has none")
            return ""
        path: str = koji.pathinfo.repo(repo["id"], target["build_tag_name"])
        _log.info("using repository %s of Koji tag %s", repo["id"], target["build_tag_name"])
        return path.removeprefix(f"{koji.pathinfo.topdir}/")


def build_specs(context: BuildContext, plan: Plan, nvr: NVR, upload_directory: str) -> list[BuildSpec]:
    """Return the specification of each architecture's build, including the labels to add.

    :param upload_directory: on the hub, for files of the build; empty for a scratch build
    :raises BuildFailedError: if container.yaml requests something invalid
    """
    task, config = context.task, context.config
    labels = {**config.labels, **build_labels(nvr.release, task.source_url)}
    return [
        BuildSpec(
            task_id=task.id,
            arch=arch,
            source_url=task.source_url,
            component=nvr.name,
            version=nvr.version,
            release=nvr.release,
            repository_path=plan.identity.repository_path,
            scratch=task.scratch,
            parents={parent.name: str(parent.pinned) for parent in plan.parents},
            labels=labels,
            yum_repository=f"{plan.yum_repository}/{arch}" if plan.yum_repository else "",
            staging_repository=staging.staging_repository(task.id),
            upload_directory=upload_directory,
            timeout=config.limits.timeout_for(plan.container_yaml.buildtime_limit),
            network=plan.network,
            repo_files=dict(plan.repo_files),
            environment=release_environment(plan.container_yaml, nvr.release),
            build_arguments=config.build_arguments,
        )
        for arch in task.arches
    ]
