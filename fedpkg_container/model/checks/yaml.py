# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks of container.yaml and additional-tags."""

from fedpkg_container.model.checks.check import Check, Example, container_yaml
from fedpkg_container.model.findings import ERROR, WARNING

CHECKS = {
    "yaml-name": Check(
        "no file has a name easily confused with container.yaml",
        WARNING,
        "Builders read container.yaml only, so the settings would have no effect.",
        wrong=Example({"container.yml": "platforms:\n  only: x86_64\n"}),
        right=container_yaml("platforms:", "  only: x86_64"),
    ),
    "yaml-unreadable": Check(
        "container.yaml is a regular UTF-8 file within the size limits",
        ERROR,
        "Builders do not follow links out of the checkout, and limit the size of the file.",
        wrong=Example(commands=("ln -s /etc/container.yaml container.yaml",)),
        right=container_yaml("platforms:", "  only: x86_64"),
    ),
    "yaml-syntax": Check(
        "container.yaml is valid YAML",
        ERROR,
        "A file that cannot be read has no settings, and the build is refused.",
        wrong=container_yaml("platforms:", "\tonly: x86_64"),
        right=container_yaml("platforms:", "  only: x86_64"),
    ),
    "yaml-tag": Check(
        "container.yaml contains only values of plain YAML types",
        ERROR,
        "Types of other languages execute code in some YAML parsers.",
        wrong=container_yaml("set_release_env: !!python/name:os.system RELEASE"),
        right=container_yaml("set_release_env: RELEASE"),
    ),
    "yaml-duplicate-key": Check(
        "container.yaml contains no duplicate keys",
        ERROR,
        "Only the last of them would have an effect.",
        wrong=container_yaml("tags: [stable]", "tags: [testing]"),
        right=container_yaml("tags: [stable, testing]"),
    ),
    "yaml-unknown-key": Check(
        "all keys in container.yaml are known",
        ERROR,
        "A misspelled key would have no effect.",
        wrong=container_yaml("platfroms:", "  only: x86_64"),
        right=container_yaml("platforms:", "  only: x86_64"),
    ),
    "yaml-invalid": Check(
        "the values in container.yaml are valid",
        ERROR,
        "The types and values of all keys are those of OSBS, listed in container-yaml.md.",
        wrong=container_yaml("buildtime_limit: one hour"),
        right=container_yaml("buildtime_limit: 3600"),
    ),
    "yaml-deprecated": Check(
        "container.yaml contains no deprecated keys",
        WARNING,
        "Deprecated keys have no effect here.",
        wrong=container_yaml("image_build_method: buildah_bud", "tags: [stable]"),
        right=container_yaml("tags: [stable]"),
    ),
    "yaml-unavailable": Check(
        "no key in container.yaml requires an unavailable service or other packages",
        ERROR,
        "Without the service the image would have other contents than the file requests.",
        wrong=container_yaml("compose:", '  modules: ["nodejs:20"]'),
        right=container_yaml("compose:", "  packages: [nodejs20]"),
    ),
    "yaml-replaced": Check(
        "no key in container.yaml selects repositories of composes, which are not used",
        WARNING,
        "RUN installs from the repository of the build tag. The key has an effect only in OSBS.",
        wrong=container_yaml("compose:", "  packages: [hello]", "tags: [stable]"),
        right=container_yaml("tags: [stable]"),
    ),
    "yaml-variable": Check(
        "set_release_env is a valid variable name",
        ERROR,
        "The name becomes an ENV instruction, which buildah would refuse.",
        wrong=container_yaml("set_release_env: HELLO-RELEASE"),
        right=container_yaml("set_release_env: HELLO_RELEASE"),
    ),
    "yaml-ignored": Check(
        "container.yaml contains no keys that builders ignore",
        WARNING,
        "The key applies to a service that is not used, so it has no effect.",
        wrong=container_yaml("remote_sources_version: 2", "tags: [stable]"),
        right=container_yaml("tags: [stable]"),
    ),
    "tags-unreadable": Check(
        "additional-tags is a regular UTF-8 file within the size limits",
        ERROR,
        "Builders do not follow links out of the checkout, and limit the size of the file.",
        wrong=Example(commands=("ln -s /etc/tags additional-tags",)),
        right=Example({"additional-tags": "stable\n"}),
    ),
    "tag-invalid": Check(
        "tags in container.yaml and additional-tags are valid",
        ERROR,
        "A registry refuses such a tag. In container.yaml it is a warning, because OSBS skipped it.",
        wrong=Example({"additional-tags": "# floating tags\nstable\n"}),
        right=Example({"additional-tags": "stable\n"}),
    ),
    "tag-ignored": Check(
        "no tag in container.yaml or additional-tags contains a hyphen",
        WARNING,
        "It could be mistaken for the tag VERSION-RELEASE of a build, and is skipped.",
        wrong=Example({"additional-tags": "1.0-stable\n"}),
        right=Example({"additional-tags": "1.0.stable\n"}),
    ),
    "tag-twice": Check(
        "no tag is listed twice in additional-tags",
        WARNING,
        "The second line has no effect. A tag with a typing error is the usual reason.",
        wrong=Example({"additional-tags": "stable\nstable\n"}),
        right=Example({"additional-tags": "stable\ntesting\n"}),
    ),
}
