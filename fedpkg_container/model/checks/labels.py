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
        "The NVR of the build consists of the labels com.redhat.component, version and release; the label name is the"
        " repository in the registry. Without a label release, the hub assigns the release.",
        wrong=dockerfile(_FROM, _COMPONENT),
        right=dockerfile(_FROM, _LABELS),
    ),
    "label-unresolved": Check(
        "variables in the labels of the NVR have a value",
        ERROR,
        "Packagers cannot pass build arguments, so an ARG without a default value leaves a part of the NVR empty. If"
        " the ENV of a base image may set the variable, the finding is label-unknown instead.",
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
        "the client knows the values of variables in the labels of the NVR (only a note, because the builder knows"
        " them)",
        NOTE,
        "The value depends on the ENV of the base image, which the client could not read. It therefore cannot show or"
        " check the NVR; the builder reads the base image.",
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
        "A hyphen in the version or release would make the parts of the NVR ambiguous. Registries accept only"
        " lower-case repository names.",
        wrong=dockerfile(_FROM, f'{_COMPONENT} version="1.0-rc1"'),
        right=dockerfile(_FROM, f'{_COMPONENT} version="1.0~rc1"'),
    ),
    "label-deprecated": Check(
        "labels have their current names",
        WARNING,
        "Builders still read the old names, but tools that inspect images look for the current ones.",
        wrong=dockerfile(_FROM, 'LABEL BZComponent="hello-container" name="hello" version="1.0"'),
        right=dockerfile(_FROM, _LABELS),
    ),
    "label-advised": Check(
        "labels recommended by the guidelines are present",
        WARNING,
        "Fedora's container guidelines recommend the labels maintainer and summary, usage or run, and uninstall if"
        " there is install.",
        wrong=dockerfile(_FROM, _LABELS),
        right=dockerfile(
            _FROM, _LABELS, 'LABEL maintainer="Ada Packager" summary="Prints a greeting" usage="podman run hello"'
        ),
    ),
}
