# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks of the labels of a Dockerfile."""

from fedpkg_container.model.checks.check import Check, dockerfile
from fedpkg_container.model.findings import ERROR, NOTE, WARNING

_FROM = "FROM registry.example.org/fedora:42"
_COMPONENT = 'LABEL com.redhat.component="hello-container" name="hello"'
_LABELS = f'{_COMPONENT} version="1.0"'

CHECKS = {
    "label-missing": Check(
        "required labels are present",
        ERROR,
        "The NVR of the build consists of com.redhat.component, version and release; name is the repository in the"
        " registry. The hub assigns a release if there is no label release.",
        wrong=dockerfile(_FROM, _COMPONENT),
        right=dockerfile(_FROM, _LABELS),
    ),
    "label-unresolved": Check(
        "variables in labels of the NVR have a value",
        ERROR,
        "Builds pass no arguments, so an ARG without a default leaves a part of the NVR empty. If there is a base"
        " image, its ENV may set the variable (label-unknown).",
        wrong=dockerfile(
            "FROM scratch",
            "ARG VERSION",
            f'{_COMPONENT} version="$VERSION"',
        ),
        right=dockerfile(
            "FROM scratch",
            "ARG VERSION=1.0",
            f'{_COMPONENT} version="$VERSION"',
        ),
    ),
    "label-unknown": Check(
        "variables in labels of the NVR are known here (a note: the builder knows the base image)",
        NOTE,
        "The value comes from the ENV of the base image, which is not read here. The NVR is therefore not known in"
        " advance.",
        wrong=dockerfile(_FROM, f'{_COMPONENT} version="$FEDORA_VERSION"'),
        right=dockerfile(
            _FROM,
            "ENV FEDORA_VERSION=42",
            f'{_COMPONENT} version="$FEDORA_VERSION"',
        ),
    ),
    "label-invalid": Check(
        "the labels form a valid NVR, repository and tag",
        ERROR,
        "A dash in the version or release would make the parts of the NVR ambiguous; registries accept only names in"
        " lower case.",
        wrong=dockerfile(_FROM, f'{_COMPONENT} version="1.0-rc1"'),
        right=dockerfile(_FROM, f'{_COMPONENT} version="1.0~rc1"'),
    ),
    "label-deprecated": Check(
        "labels have their current names",
        WARNING,
        "The old names are still read, but tools that show images look for the current ones.",
        wrong=dockerfile(_FROM, 'LABEL BZComponent="hello-container" name="hello" version="1.0"'),
        right=dockerfile(_FROM, _LABELS),
    ),
    "label-advised": Check(
        "labels recommended by the guidelines are present",
        WARNING,
        "Fedora's container guidelines recommend maintainer and summary, usage or run, and uninstall with install.",
        wrong=dockerfile(_FROM, _LABELS),
        right=dockerfile(
            _FROM, _LABELS, 'LABEL maintainer="Ada Packager" summary="Prints a greeting" usage="podman run hello"'
        ),
    ),
}
