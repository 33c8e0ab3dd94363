# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks of container.yaml and additional-tags."""

from fedpkg_container.model.checks.check import Check, Example, container_yaml
from fedpkg_container.model.findings import ERROR, WARNING

CHECKS = {
    "yaml-name": Check(
        "no file has a name easily confused with container.yaml",
        WARNING,
        "Builders read only container.yaml, so the settings would have no effect.",
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
        "Builders refuse to build if they cannot parse the file.",
        wrong=container_yaml("platforms:", "\tonly: x86_64"),
        right=container_yaml("platforms:", "  only: x86_64"),
    ),
    "yaml-tag": Check(
        "container.yaml contains only values of plain YAML types",
        ERROR,
        "Tags of language-specific types, e.g. !!python/name, make some YAML parsers execute code.",
        wrong=container_yaml("set_release_env: !!python/name:os.system RELEASE"),
        right=container_yaml("set_release_env: RELEASE"),
    ),
    "yaml-duplicate-key": Check(
        "container.yaml contains no duplicate keys",
        ERROR,
        "Only the last value of the key would have an effect.",
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
        "The keys accept the same types and values as in OSBS. docs/reference/container-yaml.md lists them.",
        wrong=container_yaml("buildtime_limit: one hour"),
        right=container_yaml("buildtime_limit: 3600"),
    ),
    "yaml-deprecated": Check(
        "container.yaml contains no deprecated keys",
        WARNING,
        "Deprecated keys have no effect.",
        wrong=container_yaml("image_build_method: buildah_bud", "tags: [stable]"),
        right=container_yaml("tags: [stable]"),
    ),
    "yaml-unavailable": Check(
        "no key in container.yaml requires an unavailable service or packages from elsewhere",
        ERROR,
        "Without the service, the contents of the image would not be those that the file requests.",
        wrong=container_yaml("compose:", '  modules: ["nodejs:20"]'),
        right=container_yaml("compose:", "  packages: [nodejs20]"),
    ),
    "yaml-replaced": Check(
        "no key in container.yaml selects repositories of composes, which builders do not use",
        WARNING,
        "RUN installs packages from the repository of the build tag. Such keys had an effect only in OSBS.",
        wrong=container_yaml("compose:", "  packages: [hello]", "tags: [stable]"),
        right=container_yaml("tags: [stable]"),
    ),
    "yaml-variable": Check(
        "set_release_env is a valid variable name",
        ERROR,
        "The builder adds an ENV instruction with this name, and buildah would reject an invalid one.",
        wrong=container_yaml("set_release_env: HELLO-RELEASE"),
        right=container_yaml("set_release_env: HELLO_RELEASE"),
    ),
    "yaml-ignored": Check(
        "container.yaml contains no keys that builders ignore",
        WARNING,
        "The key configures a service that is not used, so it has no effect.",
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
        "Registries reject invalid tags. In container.yaml an invalid tag is only a warning, because OSBS skipped it.",
        wrong=Example({"additional-tags": "# floating tags\nstable\n"}),
        right=Example({"additional-tags": "stable\n"}),
    ),
    "tag-ignored": Check(
        "no tag in container.yaml or additional-tags contains a hyphen",
        WARNING,
        "Such a tag could be mistaken for the VERSION-RELEASE tag of a build, so it is skipped.",
        wrong=Example({"additional-tags": "1.0-stable\n"}),
        right=Example({"additional-tags": "1.0.stable\n"}),
    ),
    "tag-twice": Check(
        "no tag is listed twice in additional-tags",
        WARNING,
        "The second line has no effect. The usual cause is a typing error.",
        wrong=Example({"additional-tags": "stable\nstable\n"}),
        right=Example({"additional-tags": "stable\ntesting\n"}),
    ),
}
