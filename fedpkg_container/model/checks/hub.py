# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks of the state of the hub. The koji commands of the examples are those of an administrator."""

from fedpkg_container.model.checks.check import Check, commands, dockerfile, files
from fedpkg_container.model.findings import ERROR, NOTE, WARNING

_BUILD = "fedpkg container-build"

CHECKS = {
    "target": Check(
        "the build target exists",
        ERROR,
        "The target consists of the build tag, from whose repository packages are installed, and the destination tag,"
        " which the build gets. The default target is BRANCH-NAMESPACE-candidate.",
        wrong=commands("fedpkg container-build --target rawhide-container"),
        right=commands("koji list-targets", "fedpkg container-build --target rawhide-container-candidate"),
    ),
    "dest-tag": Check(
        "the destination tag exists",
        ERROR,
        "A complete build gets this tag. If the tag does not exist, tagging fails after the image has been built.",
        wrong=commands("koji taginfo rawhide-container-candidate    # No such tag", _BUILD),
        right=commands("koji add-tag rawhide-container-candidate", _BUILD),
    ),
    "tag-locked": Check(
        "the destination tag is not locked (not checked for scratch builds)",
        ERROR,
        "A locked tag accepts no builds, e.g. while a release is frozen. The task would fail when it tags the build.",
        wrong=commands("koji lock-tag --master rawhide-container-candidate", _BUILD),
        right=commands("koji unlock-tag rawhide-container-candidate", _BUILD),
    ),
    "package": Check(
        "the package is listed in the destination tag and not blocked",
        ERROR,
        "Koji tags only builds of listed packages. The package of a new container must be added once to each tag.",
        wrong=commands("koji block-pkg rawhide-container-candidate hello-container", _BUILD),
        right=commands("koji unblock-pkg rawhide-container-candidate hello-container", _BUILD),
    ),
    "nvr-exists": Check(
        "the NVR has not been built yet (an NVR in state FAILED or CANCELED can be reused)",
        ERROR,
        "Each NVR can be built only once in Koji. The label release fixes the NVR; without it, the hub assigns the next"
        " release.",
        wrong=commands("fedpkg container-build --build-release 1"),
        right=commands(_BUILD),
    ),
    "nvr-building": Check(
        "the NVR is not being built",
        WARNING,
        "Only one build can have the NVR. The later one fails, unless the earlier one is left over from a crash.",
        wrong=commands("fedpkg container-build --build-release 2"),
        right=commands("fedpkg container-build --build-release 3"),
    ),
    "tag-arches": Check(
        "the build tag has architectures",
        ERROR,
        "An image is built for each architecture of the build tag. Without architectures there is nothing to build.",
        wrong=commands("koji call --kwargs \"{'tagInfo': 'rawhide-container-build', 'arches': ''}\" editTag2", _BUILD),
        right=commands("koji edit-tag --arches x86_64 rawhide-container-build", _BUILD),
    ),
    "arches": Check(
        "--arches and container.yaml leave at least one architecture of the build tag",
        ERROR,
        "For other architectures there are no packages to install, so the hub refuses them.",
        wrong=commands("fedpkg container-build --scratch --arches s390"),
        right=commands("fedpkg container-build --scratch --arches x86_64"),
    ),
    "no-builder": Check(
        "each architecture has an enabled builder (only a warning if there is one in another channel)",
        ERROR,
        "The task for an architecture without a builder waits forever.",
        wrong=commands("koji disable-host builder-1", _BUILD),
        right=commands("koji enable-host builder-1", _BUILD),
    ),
    "builder-silent": Check(
        "for each architecture, a builder has checked in with the hub within the last five minutes",
        WARNING,
        "The task waits until a builder is running again. An administrator can start kojid on the host.",
        wrong=commands("koji list-hosts --arch x86_64    # last update: an hour ago", _BUILD),
        right=commands("systemctl restart kojid          # on builder-1", _BUILD),
    ),
    "repo-url": Check(
        "--repo-url is a valid URL",
        ERROR,
        "The builder fetches the .repo file from this URL. The URL must contain no password, which every user of the"
        " hub could read.",
        wrong=commands("fedpkg container-build --scratch --repo-url example.org/hello.repo"),
        right=commands("fedpkg container-build --scratch --repo-url https://example.org/hello.repo"),
    ),
    "koji-parent-build": Check(
        "the build of --koji-parent-build exists, is complete and is a container image",
        ERROR,
        "The image of this build replaces the base image of the last stage.",
        wrong=commands("fedpkg container-build --koji-parent-build fedora-container-42"),
        right=commands(
            "koji list-builds --package fedora-container",
            "fedpkg container-build --koji-parent-build fedora-container-42-1",
        ),
    ),
    "build-options": Check(
        "the hub accepts the options of the build",
        ERROR,
        "Some of rpkg's options require services that the site does not have, e.g. a compose service.",
        wrong=commands("fedpkg container-build --signing-intent release"),
        right=commands("fedpkg container-build"),
    ),
    "parent-missing": Check(
        "the images in FROM exist (only with --dry-run; a note if their registry cannot be queried)",
        ERROR,
        "The build would fail when the builder resolves FROM to a digest.",
        wrong=dockerfile("FROM registry.example.org/fedora:24"),
        right=dockerfile("FROM registry.example.org/fedora:42"),
    ),
    "parent-arch": Check(
        "the images in FROM exist for all architectures of the build (only with --dry-run)",
        ERROR,
        "An image is built for each architecture of the build tag, from the base image for the same architecture.",
        wrong=dockerfile("FROM registry.example.org/only-for-x86:1"),
        right=files(
            Dockerfile=("FROM registry.example.org/only-for-x86:1",), container__yaml=("platforms:", "  only: x86_64")
        ),
    ),
    "repo-file": Check(
        "the files of --repo-url can be read (only with --dry-run)",
        ERROR,
        "The builder reads the files before the build. It is only a warning if the server does not respond, because"
        " the builder may be able to reach it.",
        wrong=commands("fedpkg container-build --dry-run --repo-url https://example.org/repo/"),
        right=commands("fedpkg container-build --dry-run --repo-url https://example.org/repo/hello.repo"),
    ),
    "head-built": Check(
        "HEAD has not been built for the target (only with --dry-run)",
        NOTE,
        "Another build of the same commit has the same content, unless the base image or the packages have changed.",
        wrong=commands(_BUILD, "fedpkg container-build --dry-run"),
        right=commands(_BUILD, "fedpkg container-build --if-needed"),
    ),
}
