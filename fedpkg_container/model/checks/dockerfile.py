# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks of the instructions of a Dockerfile or Containerfile."""

from fedpkg_container.model.checks.check import Check, dockerfile, files
from fedpkg_container.model.findings import ERROR, WARNING

_FROM = "FROM registry.example.org/fedora:42"
_BUILD_STAGE = "FROM registry.example.org/fedora:42 AS build"

CHECKS = {
    "no-dockerfile": Check(
        "there is a Containerfile or Dockerfile that can be parsed and is within the limits",
        ERROR,
        "Without it there is nothing to build. buildah looks for Containerfile, then Dockerfile, in the top directory.",
        wrong=files(dockerfile=(_FROM,)),
        right=dockerfile(_FROM),
    ),
    "dockerfile-ignored": Check(
        "a Dockerfile beside a Containerfile, which takes precedence, has the same content",
        WARNING,
        "buildah reads the Containerfile only. Changes to the other file would have no effect.",
        wrong=files(Containerfile=(_FROM, 'CMD ["/usr/bin/hello"]'), Dockerfile=(_FROM, 'CMD ["/usr/bin/old"]')),
        right=files(Containerfile=(_FROM, 'CMD ["/usr/bin/hello"]')),
    ),
    "instruction": Check(
        "all instructions are known, and buildah can read them",
        ERROR,
        "buildah refuses the file, after the task has waited for a builder.",
        wrong=dockerfile(_FROM, "RUN dnf -y install hello &&", "    dnf clean all"),
        right=dockerfile(_FROM, "RUN dnf -y install hello && \\", "    dnf clean all"),
    ),
    "option": Check(
        "options of instructions are known to buildah",
        ERROR,
        "buildah refuses an option that it does not know, or one without its value.",
        wrong=dockerfile(_FROM, "COPY --owner=hello Dockerfile /"),
        right=dockerfile(_FROM, "COPY --chown=hello Dockerfile /"),
    ),
    "option-ignored": Check(
        "no instruction has options that buildah removes",
        WARNING,
        "buildah removes words that start with -- from the start of any instruction, also if they belong to the"
        " program.",
        wrong=dockerfile(_FROM, "CMD --verbose"),
        right=dockerfile(_FROM, 'CMD ["--verbose"]'),
    ),
    "buildah-version": Check(
        "the Dockerfile needs no newer buildah than the builders have (a warning in the client)",
        WARNING,
        "The client does not know the version on the builders. An older one fails, or ignores the feature.",
        wrong=dockerfile(_FROM, "RUN <<END", "dnf -y install hello", "END"),
        right=dockerfile(_FROM, "RUN dnf -y install hello"),
    ),
    "before-from": Check(
        "only ARG precedes the first FROM",
        ERROR,
        "Other instructions change an image, and there is none before FROM.",
        wrong=dockerfile('LABEL name="hello"', _FROM),
        right=dockerfile(_FROM, 'LABEL name="hello"'),
    ),
    "no-from": Check(
        "there is a FROM",
        ERROR,
        "An image is based on another image, or on scratch, the empty image.",
        wrong=dockerfile("RUN dnf -y install hello"),
        right=dockerfile(_FROM, "RUN dnf -y install hello"),
    ),
    "from-invalid": Check(
        "FROM has a valid image reference",
        ERROR,
        "Names of repositories are in lower case, and tags have at most 128 characters: registry/repository:tag.",
        wrong=dockerfile("FROM registry.example.org/Fedora:42"),
        right=dockerfile(_FROM),
    ),
    "from-argument": Check(
        "arguments used in FROM have a value",
        ERROR,
        "Builds pass no arguments, so an ARG without a default is empty. Only an ARG before the first FROM counts.",
        wrong=dockerfile("ARG TAG", "FROM registry.example.org/fedora:$TAG"),
        right=dockerfile("ARG TAG=42", "FROM registry.example.org/fedora:$TAG"),
    ),
    "from-registry": Check(
        "the image in FROM includes the registry",
        ERROR,
        "A short name is completed from the configuration of each machine, so it can be another image on a builder.",
        wrong=dockerfile("FROM fedora:42"),
        right=dockerfile(_FROM),
    ),
    "from-tag": Check(
        "the image in FROM has a tag or a digest",
        WARNING,
        "Without a tag, the current latest is used. A new release of the base image then changes the build without a"
        " commit.",
        wrong=dockerfile("FROM registry.example.org/fedora"),
        right=dockerfile(_FROM),
    ),
    "from-platform": Check(
        "FROM has no options: each architecture is built on a separate builder",
        WARNING,
        "The option has no effect: the image of the builder's architecture is used.",
        wrong=dockerfile("FROM --platform=linux/arm64 registry.example.org/fedora:42"),
        right=dockerfile(_FROM),
    ),
    "stage-name": Check(
        "stage names are valid and unique",
        ERROR,
        "A name that is used twice, or that looks like a number, would select different stages in different versions"
        " of buildah. Case does not matter.",
        wrong=dockerfile(_BUILD_STAGE, "FROM registry.example.org/fedora-minimal:42 AS Build"),
        right=dockerfile(_BUILD_STAGE, "FROM registry.example.org/fedora-minimal:42 AS final"),
    ),
    "foreign-source": Check(
        "files are copied only from images named in a FROM",
        ERROR,
        "Only images in FROM are pinned to a digest and recorded as parents of the build.",
        wrong=dockerfile(_FROM, "COPY --from=registry.example.org/tools:1 /usr/bin/tool /usr/bin/"),
        right=dockerfile(
            "FROM registry.example.org/tools:1 AS tools", _FROM, "COPY --from=tools /usr/bin/tool /usr/bin/"
        ),
    ),
    "run-option": Check(
        "RUN requests no extra privileges and no other network",
        ERROR,
        "Builders run RUN without privileges, and with the network that the site allows. They refuse options that"
        " request more.",
        wrong=dockerfile(_FROM, "RUN --security=insecure mount /dev/sda1 /mnt"),
        right=dockerfile(_FROM, "RUN dnf -y install hello"),
    ),
    "run-mount": Check(
        "RUN mounts only the checkout, another stage, a cache or tmpfs",
        ERROR,
        "Other types give access to the builder, e.g. to its secrets, and a variable could hide the type.",
        wrong=dockerfile(_FROM, "RUN --mount=type=secret,id=token cat /run/secrets/token"),
        right=dockerfile(_FROM, "RUN --mount=type=tmpfs,target=/tmp dnf -y install hello"),
    ),
    "no-command": Check(
        "the image has a CMD or an ENTRYPOINT",
        WARNING,
        "Otherwise podman run starts the command of the base image, in general a shell.",
        wrong=dockerfile(_FROM, "RUN dnf -y install hello"),
        right=dockerfile(_FROM, "RUN dnf -y install hello", 'CMD ["/usr/bin/hello"]'),
    ),
}
