# SPDX-License-Identifier: GPL-2.0-or-later
"""Demonstration: from an empty box to a running image, step by step. ``make demo`` runs it."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fedpkg_container.box.box import Box
from fedpkg_container.box.cluster.site import check_usable
from fedpkg_container.box.demo import base, site
from fedpkg_container.box.demo.rpms import Package
from fedpkg_container.box.demo.running import fetch_page
from fedpkg_container.box.layout import ADMIN, PACKAGER, Layout
from fedpkg_container.box.shell import environment
from fedpkg_container.engines import rootless
from fedpkg_container.errors import FedpkgContainerError, UsageError
from fedpkg_container.hub.session import log_out
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.process import foreground, run
from fedpkg_container.registry.skopeo import Access, Registry

#: Timeout of a demonstration command, seconds.
COMMAND_TIMEOUT = 900
HERE = Path(__file__).parent
PAGE = "<!DOCTYPE html>\n<title>hello-web</title>\n<h1>Hello from a container that Koji built</h1>\n"


class _StepFailedError(Exception):
    """A step of the demonstration failed; its output was printed."""

    def __init__(self, status: int) -> None:
        super().__init__(f"exit status {status}")
        self.status = status


class Demo:
    """The steps, in one box.

    :param directory: directory for box and work
    :param foreign_base: pull spec of an existing base image; empty to make one
    :param cluster: build in the pods of a simulated cluster
    """

    def __init__(self, directory: Path, foreign_base: str, *, cluster: bool = False) -> None:
        self.directory = directory
        self.foreign_base = foreign_base
        layout = Layout.open(directory / "box").with_distribution()
        self.box = Box(layout.with_cluster() if cluster else layout)
        self.checkout = directory / "box" / "home" / "hello-web"
        self.environment: Mapping[str, str] = {}

    def run(self) -> None:
        """Run every step.

        :raises _StepFailedError: a command failed
        :raises FedpkgContainerError: another error
        """
        self.say("start a box: Koji hub, builder, registries, dist-git, front end and mirror, all on loopback")
        self.box.up()
        self.environment = environment(self.box)
        if self.box.layout.cluster:
            self.check_cluster()
        reference = self.make_base()
        self.make_repository(reference)
        self.say("check out hello-web")
        home = self.box.layout.home
        self.shell("rm -rf hello-web && fedpkg clone container/hello-web", cwd=home)
        self.say("build it for testing: a scratch build is not recorded in Koji")
        self.shell("fedpkg container-build --scratch")
        self.say("build it")
        self.shell("fedpkg container-build")
        self.show_record()
        self.promote()
        self.run_image()

    def say(self, text: str) -> None:
        """Announce a step."""
        bold, normal = ("\033[1m", "\033[0m") if sys.stdout.isatty() and not os.environ.get("NO_COLOR") else ("", "")
        print(f"\n{bold}==> {text}{normal}", flush=True)

    def shell(self, command: str, *, cwd: Path | None = None, user: str = PACKAGER) -> None:
        """Print a command, then run it as a user of the box.

        :param user: user name for koji logins
        """
        print(f"{'' if user == PACKAGER else f'({user}) '}$ {command}", flush=True)
        variables = self.environment if user == PACKAGER else environment(self.box, user=user)
        status = foreground(["sh", "-c", command], cwd=cwd or self.checkout, env=variables, timeout=COMMAND_TIMEOUT)
        if status:
            raise _StepFailedError(status)

    def make_base(self) -> str:
        """RPMs in Koji, a repository of them, and a base image; its pull spec."""
        session = self.box.session(ADMIN)
        site.create_target(session, "hello-web-container", base.COMPONENT)
        site.create_stable_tag(session, "hello-web-container")
        with tempfile.TemporaryDirectory(prefix="demo-") as name:
            work = Path(name)
            self.say(f"package programs of {base.host_system()} as RPMs, and import them into Koji")
            rpms = [] if self.foreign_base else [package.build(work) for package in base.packages(dnf=True)]
            page = Package(
                "hello-web-pages", "The page of hello-web", contents={"/usr/share/hello-web/index.html": PAGE}
            ).build(work)
            site.import_rpms(session, [*rpms, page])
            self.say("generate the repository of the build tag on the builder")
            site.regenerate(session)
            reference = self.foreign_base or self.publish_base(rpms)
        log_out(session)
        return reference

    def publish_base(self, rpms: list[Path]) -> str:
        """Pull spec of a new base image."""
        self.say("build a base image of these RPMs, push it, and record it as a Koji build")
        release = str(int(time.time()))
        reference = base.publish(self.box, rpms, release=release)
        print(f"{base.COMPONENT}-1-{release} is {reference}", flush=True)
        return reference

    def make_repository(self, reference: str) -> None:
        """Create container/hello-web in dist-git, with a Dockerfile using the base."""
        self.say("create container/hello-web in dist-git")
        bare = self.box.create_repository("container/hello-web")
        dockerfile = (HERE / "hello-web" / "Dockerfile").read_text().replace("@BASE@", reference)
        print(dockerfile)
        with tempfile.TemporaryDirectory(prefix="hello-web-", dir=self.directory) as name:
            git = ["git", "-C", name]
            run(["git", "clone", "--quiet", bare, name], env=self.environment, timeout=60)
            (Path(name) / "Dockerfile").write_text(dockerfile)
            run([*git, "add", "Dockerfile"], env=self.environment, timeout=60)
            if run([*git, "status", "--porcelain"], env=self.environment, timeout=60).stdout:
                run([*git, "commit", "--quiet", "-m", "Serve a page"], env=self.environment, timeout=60)
                run([*git, "push", "--quiet", bare, "HEAD:rawhide"], env=self.environment, timeout=60)

    def check_cluster(self) -> None:
        """Test in a pod whether builds work, with the settings of the builder."""
        self.say("test in a pod of the cluster whether builds work there")
        site = self.box.layout.builder(self.box.layout.builders[0]) / "builder_containerbuild.conf"
        self.shell(f"fedpkg-container-cluster check --config {shlex.quote(str(site))}", cwd=self.directory)

    def show_record(self) -> None:
        """Print Koji's newest build record."""
        self.say("show what Koji recorded")
        build = self.newest_build()
        image = build["extra"]["image"]
        print(f"NVR      {build['nvr']}")
        print(f"commit   {build['source']}")
        for specification, parent in image["parent_image_builds"].items():
            print(f"parent   {parent['nvr']} ({specification})")
        session = self.box.session(ADMIN)
        for archive in session.listArchives(buildID=build["id"], type="image"):
            print(f"archive  {archive['filename']} ({archive['size'] / 1e6:.1f} MB)")
            for rpm in session.listRPMs(imageID=archive["id"]):
                print(f"rpm      {rpm['nvr']}.{rpm['arch']}")
        log_out(session)
        self.shell(f"koji buildinfo {shlex.quote(build['nvr'])} | grep -v ^Extra")

    def newest_build(self) -> Any:
        """The newest build of hello-web."""
        session = self.box.session(ADMIN)
        (build,) = session.listTagged(site.DEST_TAG, package="hello-web-container", latest=True, extra=True)
        latest = session.getBuild(build["build_id"])
        log_out(session)
        return latest

    def promote(self) -> None:
        """Promote a build to the stable registry, its layers to the mirror."""
        nvr = shlex.quote(self.newest_build()["nvr"])
        self.say("tag the tested build, as release engineers do: only tagged builds are promoted")
        self.shell(f"koji tag-build --wait {site.STABLE_TAG} {nvr}", user=ADMIN)
        self.say("promote it from the candidate registry to the stable one, and export its blobs for mirrors")
        self.shell(f"fedpkg-container-registry promote {nvr}")
        self.shell("fedpkg-container-registry mirror")

    def run_image(self) -> None:
        """Pull the promoted image into an empty store, run it, and fetch its page; layers must come from the mirror.

        :raises FedpkgContainerError: a result is not as expected
        """
        beyond = self.box.layout.distribution
        assert beyond is not None
        self.say("pull it from the stable registry into an empty store, run it, and fetch its page")
        image = ImageReference.parse(f"{beyond.address}/hello-web:latest")
        certificates = self.box.layout.builder(self.box.layout.builders[0]) / "certs"
        begin = beyond.mirror_log.stat().st_size
        print(f"$ curl http://…:8080/   # {image}", flush=True)
        page = fetch_page(str(image), certificates=certificates)
        print(page)
        if page != PAGE:
            raise FedpkgContainerError("the page differs from the packaged one")
        self.say("its layers came from the mirror, to which the front end redirected")
        with beyond.mirror_log.open() as log:
            log.seek(begin)
            served = log.read()
        print(served, end="")
        missing = [layer for layer in self.layers(image, certificates) if f"/blobs/{layer} " not in served]
        if missing:
            raise FedpkgContainerError(f"these layers did not come from the mirror: {', '.join(missing)}")

    @staticmethod
    def layers(image: ImageReference, certificates: Path) -> list[str]:
        """Layer digests of a single-architecture image."""
        with Registry(Access(certificates)).repository(image) as repository:
            (member,) = repository.manifest(image.tag).manifests
            _, *layers = repository.manifest(member.digest).blobs
        return [each.digest for each in layers]


def what_is_kept(directory: Path) -> str:
    """How to use the stopped box of a demonstration, for printing."""
    box = f"{shlex.quote(str(Path(sys.executable).parent / 'fedpkg-container-box'))} -d {shlex.quote(str(directory))}"
    return (
        f"\nIts box is kept in {directory}, and is stopped.\n"
        f"start it:  {box} up\n"
        f"use it:    {box} shell    (then: cd ~/hello-web; fedpkg container-build)\n"
        f"stop it:   {box} down\n"
        f"remove it: {box} down --remove"
    )


def main() -> None:
    """Run the demonstration, then stop the box."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--directory", type=Path, help="keep the box there (default: a temporary directory)")
    parser.add_argument("--base", default="", help="pull spec of the base image to use")
    parser.add_argument("--cluster", action="store_true", help="build in pods of a simulated cluster; requires root")
    arguments = parser.parse_args()
    if arguments.cluster:
        try:
            check_usable(os.geteuid())
        except UsageError as error:
            parser.error(f"--cluster: {error.reason}")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fedpkg-container-demo-") as name:
        demo = Demo(arguments.directory or Path(name), arguments.base, cluster=arguments.cluster)
        try:
            rootless.enter()
            demo.run()
        except _StepFailedError as error:
            sys.exit(error.status)
        except FedpkgContainerError as error:
            print(f"error: {error.reason}\n       {error.solution}", file=sys.stderr)
            sys.exit(error.exit_code)
        finally:
            demo.box.down()
    print(f"\nThe demonstration took {time.monotonic() - began:.0f} s.")
    if arguments.directory:
        print(what_is_kept(demo.box.layout.directory))


if __name__ == "__main__":
    main()
