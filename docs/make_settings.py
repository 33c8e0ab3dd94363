# SPDX-License-Identifier: GPL-2.0-or-later
"""Generate the documentation of the configuration files from their tables: ``python -m docs.make_settings``.

The text between a line ``settings: NAME`` and a line ``end of settings``, each in a comment, is replaced.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path

from fedpkg_container.cluster import config_keys as cluster
from fedpkg_container.commands import client_config
from fedpkg_container.image import config_keys as builder
from fedpkg_container.registry import config_keys as registry
from fedpkg_container.settings import ANY, Key

DOCS = Path(__file__).parent
#: The settings of registry.conf; those of connections once, and those of the front end on another page.
_REGISTRY = [*registry.without_access(registry.KEYS), *registry.ACCESS_KEYS]
_REGISTRY = [key for key in _REGISTRY if key not in registry.REDIRECTS_KEYS]
#: The settings of builders, and those of the cluster on another page.
_BUILDER = [key for key in builder.KEYS if key not in cluster.KEYS]
_MARKED = r"(?P<first>^[^\n]*\bsettings: {name}\b[^\n]*\n)(?P<old>.*?)(?P<last>^[^\n]*\bend of settings\b)"


def meaning(key: Key) -> str:
    """Return the meaning of a setting, with its deprecated names."""
    old = ", ".join(f"`{name}`" for name in key.old)
    return f"{key.text}. The old name {old} is still accepted, with a warning" if old else key.text


def default(key: Key) -> str:
    """Return the default of a setting, in Markdown."""
    if key.default is None:
        return "required"
    return key.default_text or (f"`{key.default}`" if key.default else "")


def rows(keys: Iterable[Key], *, sections: bool = True) -> str:
    """Return the rows of a table in Markdown.

    :param sections: whether the first column is the section
    """
    lines = []
    for section, group in groupby(keys, key=lambda key: key.section):
        first = f"| {section if section == registry.ANY_REGISTRY else f'`{section}`'} "
        for key in group:
            cells = ["any" if key.name == ANY else f"`{key.name}`", meaning(key), default(key)]
            lines.append((first if sections else "") + f"| {' | '.join(cells)} |".replace("|  |", "| |"))
            first = "| "
    return "".join(f"{line}\n" for line in lines)


def table(keys: Sequence[Key], *, sections: bool = True, indent: str = "") -> str:
    """Return a table in Markdown."""
    head = ["section", "setting", "meaning", "default"][not sections :]
    text = f"| {' | '.join(head)} |\n|{' --- |' * len(head)}\n{rows(keys, sections=sections)}"
    return "\n" + "".join(f"{indent}{line}\n" for line in text.splitlines()) + "\n"


def manual(keys: Iterable[Key]) -> str:
    """Return the settings as part of a man page."""
    lines = []
    for section, group in groupby(keys, key=lambda key: key.section):
        is_section = section != registry.ANY_REGISTRY
        lines.append(f".SS [{section}]" if is_section else ".SS Sections with a registry")
        for key in group:
            shown = default(key)
            lines += [".TP", f".B {key.name}", _roff(meaning(key) + (f" ({_label(shown)})" if shown else ""))]
    return "".join(f"{line}\n" for line in lines)


def _label(shown: str) -> str:
    return shown if shown.startswith("required") else f"default: {shown}"


def _roff(text: str) -> str:
    """Return a line of Markdown in the language of man pages."""
    text = re.sub(r"`([^`]*)`", r"\\fB\1\\fR", text.replace("-", "\\-").replace("~", "\\(ti"))
    return f"\\&{text}" if text[:1] in ".'" else text


#: File → name → text.
GENERATED: dict[Path, dict[str, Callable[[], str]]] = {
    DOCS / "howto" / "site.md": {
        "client": lambda: table(client_config.KEYS, sections=False),
        "builder": lambda: table(_BUILDER),
    },
    DOCS / "howto" / "cluster.md": {"cluster": lambda: table(cluster.KEYS)},
    DOCS / "howto" / "distribution.md": {"registry": lambda: table(_REGISTRY)},
    DOCS / "howto" / "redirects.md": {
        "redirects": lambda: table(registry.REDIRECTS_KEYS, sections=False, indent="   ")
    },
    DOCS / "man" / "fedpkg-container-registry.1": {
        "registry": lambda: manual([*_REGISTRY, *registry.REDIRECTS_KEYS]),
    },
}


def page(path: Path) -> str:
    """Return a file with its generated parts.

    :raises ValueError: if the marks are missing
    """
    text = path.read_text()
    for name, make in GENERATED[path].items():
        pattern = re.compile(_MARKED.format(name=name), re.MULTILINE | re.DOTALL)
        match = pattern.search(text)
        if match is None:
            raise ValueError(f"{path} has no part 'settings: {name}'")
        text = f"{text[: match.start()]}{match['first']}{make()}{match['last']}{text[match.end() :]}"
    return text


if __name__ == "__main__":
    for each in GENERATED:
        each.write_text(page(each))
