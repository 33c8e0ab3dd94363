# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks of the files that the build copies: sources of COPY and ADD, the ignore file, sources and help.md."""

from fedpkg_container.model.checks.check import Check, Example, dockerfile
from fedpkg_container.model.findings import ERROR, WARNING

_FROM = "FROM registry.example.org/fedora:42"
_COPY = "COPY hello.conf /etc/"

CHECKS = {
    "copy-missing": Check(
        "sources of COPY and ADD exist",
        ERROR,
        "buildah fails at the instruction, after it has executed all previous ones.",
        wrong=dockerfile(_FROM, "COPY hello.cnf /etc/", hello__conf=("port = 80",)),
        right=dockerfile(_FROM, _COPY, hello__conf=("port = 80",)),
    ),
    "copy-outside": Check(
        "sources of COPY and ADD are inside the checkout",
        ERROR,
        "Builders have only the checkout, and buildah does not read files outside of it.",
        wrong=dockerfile(_FROM, "COPY ../common/hello.conf /etc/"),
        right=dockerfile(_FROM, _COPY, hello__conf=("port = 80",)),
    ),
    "copy-ignored": Check(
        "the ignore file (.dockerignore and others) does not exclude sources of COPY and ADD",
        ERROR,
        "For buildah, an excluded file does not exist. It is only a warning if a directory would be copied without its"
        " files.",
        wrong=Example({"Dockerfile": f"{_FROM}\n{_COPY}\n", ".dockerignore": "*.conf\n", "hello.conf": "port = 80\n"}),
        right=Example(
            {
                "Dockerfile": f"{_FROM}\n{_COPY}\n",
                ".dockerignore": "*.conf\n!hello.conf\n",
                "hello.conf": "port = 80\n",
            }
        ),
    ),
    "ignore-file": Check(
        "the ignore file can be read, and buildah accepts its patterns",
        ERROR,
        "buildah fails if a pattern is malformed. It is only a warning if buildah reads a pattern as a regular"
        " expression.",
        wrong=Example({"Dockerfile": f"{_FROM}\nCOPY . /srv\n", ".dockerignore": "*.[ch\n"}),
        right=Example({"Dockerfile": f"{_FROM}\nCOPY . /srv\n", ".dockerignore": "*.[ch]\n"}),
    ),
    "submodule": Check(
        "COPY, ADD and bind mounts include no git submodule, which builders do not fetch",
        ERROR,
        "On builders, the directory of a submodule is empty.",
        wrong=Example(
            {"Dockerfile": f"{_FROM}\nCOPY library /usr/src/library\n"},
            commands=("git init --quiet library",),
        ),
        right=Example(
            {"Dockerfile": f"{_FROM}\nCOPY library /usr/src/library\n", "library/hello.c": "int main(void) {}\n"},
        ),
    ),
    "sources": Check(
        "the file named sources can be parsed",
        ERROR,
        "Builders fetch the files listed in it from the lookaside cache, and fail if they cannot parse it.",
        wrong=dockerfile(_FROM, sources=("data.tar.gz",)),
        right=dockerfile(_FROM, sources=("d41d8cd98f00b204e9800998ecf8427e  data.tar.gz",)),
    ),
    "add-network": Check(
        "ADD fetches nothing from the network, to which builds have access only if the site allows it",
        WARNING,
        "Without network access, buildah fails at the instruction. A file in the lookaside cache always has the same"
        " content.",
        wrong=dockerfile(_FROM, "ADD https://example.org/hello.conf /etc/"),
        right=dockerfile(_FROM, _COPY, sources=("SHA512 (hello.conf) = " + "0" * 128,)),
    ),
    "help": Check(
        "help.md is a regular file within the size limit",
        ERROR,
        "Builders convert it to the manual page /help.1 of the image. An empty file is only a warning.",
        wrong=Example({"Dockerfile": f"{_FROM}\n"}, commands=("ln -s /usr/share/doc/hello/README.md help.md",)),
        right=Example({"Dockerfile": f"{_FROM}\n", "help.md": "# hello\n\nPrints a greeting.\n"}),
    ),
}
