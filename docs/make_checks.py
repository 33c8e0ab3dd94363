"""Makes docs/checks.md from the table of checks: ``python docs/make_checks.py``."""

from __future__ import annotations

from pathlib import Path

from fedpkg_container.model.checks import CHECKS

PAGE = Path(__file__).parent / "checks.md"
HEAD = """\
# The checks of container-build

`fedpkg container-build` checks the checkout, its files and the hub before anything is submitted, and shows all findings
at once, each with its code in brackets. Errors refuse the build (exit status 3); warnings pass, unless `--strict` is
given. `--skip-check CODE` passes one check. `container-build-config --check` runs those of files alone, and
`container-build --dry-run --offline` all but those of the hub.

The table is made by `python docs/make_checks.py`; a unit test compares.

| Code | What is checked |
| --- | --- |
"""


def page() -> str:
    """The text of docs/checks.md."""
    return HEAD + "".join(f"| `{code}` | {text} |\n" for code, text in CHECKS.items())


if __name__ == "__main__":
    PAGE.write_text(page())
