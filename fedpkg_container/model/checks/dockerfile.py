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
        "buildah looks for Containerfile, then Dockerfile, in the top directory of the checkout. File names are"
        " case-sensitive.",
        wrong=files(dockerfile=(_FROM,)),
        right=dockerfile(_FROM),
    ),
    "dockerfile-ignored": Check(
        "if there are both a Containerfile, which takes precedence, and a Dockerfile, they have the same content",
        WARNING,
        "buildah reads only the Containerfile. Changes to the Dockerfile would have no effect.",
        wrong=files(Containerfile=(_FROM, 'CMD ["/usr/bin/hello"]'), Dockerfile=(_FROM, 'CMD ["/usr/bin/old"]')),
        right=files(Containerfile=(_FROM, 'CMD ["/usr/bin/hello"]')),
    ),
    "instruction": Check(
        "all instructions are known, and buildah can read them",
        ERROR,
        "buildah rejects the file, but only after the task has waited for a builder.",
        wrong=dockerfile(_FROM, "RUN dnf -y install hello &&", "    dnf clean all"),
        right=dockerfile(_FROM, "RUN dnf -y install hello && \\", "    dnf clean all"),
    ),
    "option": Check(
        "options of instructions are known to buildah",
        ERROR,
        "buildah rejects unknown options, and options without the required value.",
        wrong=dockerfile(_FROM, "COPY --owner=hello Dockerfile /"),
        right=dockerfile(_FROM, "COPY --chown=hello Dockerfile /"),
    ),
    "option-ignored": Check(
        "no instruction has options that buildah removes",
        WARNING,
        "buildah removes words that start with -- from the start of every instruction, even if they are meant for the"
        " program that is run.",
        wrong=dockerfile(_FROM, "CMD --verbose"),
        right=dockerfile(_FROM, 'CMD ["--verbose"]'),
    ),
    "buildah-version": Check(
        "the Dockerfile requires no newer version of buildah than the builders have (only a warning in the client)",
        WARNING,
        "An older version fails or ignores the feature. The client does not know which version the builders have.",
        wrong=dockerfile(_FROM, "RUN <<END", "dnf -y install hello", "END"),
        right=dockerfile(_FROM, "RUN dnf -y install hello"),
    ),
    "before-from": Check(
        "only ARG precedes the first FROM",
        ERROR,
        "All other instructions apply to an image, and there is no image before FROM.",
        wrong=dockerfile('LABEL name="hello"', _FROM),
        right=dockerfile(_FROM, 'LABEL name="hello"'),
    ),
    "no-from": Check(
        "there is a FROM",
        ERROR,
        "Every image is based on another image, or on scratch, the empty image.",
        wrong=dockerfile("RUN dnf -y install hello"),
        right=dockerfile(_FROM, "RUN dnf -y install hello"),
    ),
    "from-invalid": Check(
        "FROM has a valid image reference",
        ERROR,
        "The form is registry/repository:tag. Repository names are in lower case, and tags have at most 128"
        " characters.",
        wrong=dockerfile("FROM registry.example.org/Fedora:42"),
        right=dockerfile(_FROM),
    ),
    "from-argument": Check(
        "arguments used in FROM have a value",
        ERROR,
        "Packagers cannot pass build arguments, so the ARG needs a default value. FROM sees only the ARG instructions"
        " before the first FROM.",
        wrong=dockerfile("ARG TAG", "FROM registry.example.org/fedora:$TAG"),
        right=dockerfile("ARG TAG=42", "FROM registry.example.org/fedora:$TAG"),
    ),
    "from-registry": Check(
        "the image in FROM includes the registry",
        ERROR,
        "A short name is completed by the configuration of the machine, so it may refer to a different image on a"
        " builder.",
        wrong=dockerfile("FROM fedora:42"),
        right=dockerfile(_FROM),
    ),
    "from-tag": Check(
        "the image in FROM has a tag or a digest",
        WARNING,
        "Without a tag, the tag latest is used, so that a new release of the base image changes the build without a"
        " commit.",
        wrong=dockerfile("FROM registry.example.org/fedora"),
        right=dockerfile(_FROM),
    ),
    "from-platform": Check(
        "FROM has no options: each architecture is built on a separate builder",
        WARNING,
        "The option has no effect: the image for the builder's architecture is used.",
        wrong=dockerfile("FROM --platform=linux/arm64 registry.example.org/fedora:42"),
        right=dockerfile(_FROM),
    ),
    "stage-name": Check(
        "stage names are valid and unique",
        ERROR,
        "A name that is used twice, or that looks like a number, refers to different stages in different versions of"
        " buildah. Names that differ only in case are equal.",
        wrong=dockerfile(_BUILD_STAGE, "FROM registry.example.org/fedora-minimal:42 AS Build"),
        right=dockerfile(_BUILD_STAGE, "FROM registry.example.org/fedora-minimal:42 AS final"),
    ),
    "foreign-source": Check(
        "files are copied only from images named in a FROM",
        ERROR,
        "Only images named in a FROM are pinned to a digest and recorded as parents of the build.",
        wrong=dockerfile(_FROM, "COPY --from=registry.example.org/tools:1 /usr/bin/tool /usr/bin/"),
        right=dockerfile(
            "FROM registry.example.org/tools:1 AS tools", _FROM, "COPY --from=tools /usr/bin/tool /usr/bin/"
        ),
    ),
    "run-option": Check(
        "RUN requests no extra privileges and no other network",
        ERROR,
        "Builders execute RUN without privileges, and with only the network access that the site allows. They refuse"
        " options that request more.",
        wrong=dockerfile(_FROM, "RUN --security=insecure mount /dev/sda1 /mnt"),
        right=dockerfile(_FROM, "RUN dnf -y install hello"),
    ),
    "run-mount": Check(
        "RUN mounts only the checkout, another stage, a cache or tmpfs",
        ERROR,
        "Other mount types give access to the builder, e.g. to its secrets. Variables are not allowed, because they"
        " could hide the type.",
        wrong=dockerfile(_FROM, "RUN --mount=type=secret,id=token cat /run/secrets/token"),
        right=dockerfile(_FROM, "RUN --mount=type=tmpfs,target=/tmp dnf -y install hello"),
    ),
    "no-command": Check(
        "the image has a CMD or an ENTRYPOINT",
        WARNING,
        "Without them, podman run starts the command of the base image, usually a shell.",
        wrong=dockerfile(_FROM, "RUN dnf -y install hello"),
        right=dockerfile(_FROM, "RUN dnf -y install hello", 'CMD ["/usr/bin/hello"]'),
    ),
}
