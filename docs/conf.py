# SPDX-License-Identifier: GPL-2.0-or-later
"""Sphinx configuration: ``make docs``."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]

project = "fedpkg-container"
author = "the fedpkg-container authors"
version = release = re.search(  # type: ignore[union-attr]
    r'__version__ = "([^"]+)"', (ROOT / "fedpkg_container" / "__init__.py").read_text()
)[1]

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
nitpicky = True

#: Anchors of headings, as GitHub makes them.
myst_heading_anchors = 4
#: Indented blocks are shell commands, configuration or diagrams: no lexer fits all of them.
highlight_language = "none"

html_theme = "alabaster"
html_theme_options = {"description": "Container builds for packagers", "page_width": "1100px"}
html_show_sourcelink = False
