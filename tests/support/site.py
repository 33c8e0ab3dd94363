# SPDX-License-Identifier: GPL-2.0-or-later
"""The site's builder settings, changed temporarily."""

from __future__ import annotations

import configparser
import contextlib
from collections.abc import Iterator, Mapping, Sequence

from fedpkg_container.box.box import Box

FILE = "builder_containerbuild.conf"


@contextlib.contextmanager
def site_settings(
    box: Box, settings: Mapping[str, Mapping[str, str]], *, builders: Sequence[str] = ()
) -> Iterator[None]:
    """Change settings on builders of a box, on all unless some are named: section → option → value."""
    paths = [box.layout.builder(name) / FILE for name in builders or box.layout.builders]
    before = {path: path.read_text() for path in paths}
    for path, text in before.items():
        parser = configparser.ConfigParser(interpolation=None)
        parser.optionxform = str  # type: ignore[assignment, method-assign]
        parser.read_string(text)
        parser.read_dict({section: {**dict(parser[section] if parser.has_section(section) else {}), **options}
                          for section, options in settings.items()})  # fmt: skip
        with path.open("w") as file:
            parser.write(file)
    try:
        yield
    finally:
        for path, text in before.items():
            path.write_text(text)
