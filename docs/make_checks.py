"""Makes docs/reference/checks.md from the table of checks: ``python docs/make_checks.py``."""

from __future__ import annotations

from pathlib import Path

from fedpkg_container.distgit import dockerfile_limits as limits
from fedpkg_container.model.findings import CHECKS

PAGE = Path(__file__).parent / "reference" / "checks.md"
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
TAIL = f"""\

## How large a Dockerfile may be

Values of ENV, ARG and LABEL can name earlier ones, so that ten lines make a value of gigabytes. The client and builders
refuse a Dockerfile before they fill in variables, by an upper bound that they compute from lengths alone
(`distgit/dockerfile_limits.py`). The limits are the same everywhere and are not settings.

| What | Limit |
| --- | --- |
| the file | {limits.LONGEST_FILE // 1024} KiB |
| instructions | {limits.MOST_INSTRUCTIONS} |
| one instruction, without its here-documents | {limits.LONGEST_INSTRUCTION // 1024} KiB |
| values that ENV, ARG and LABEL set | {limits.MOST_VALUES} |
| one value, or one word of another instruction, with variables filled in | {limits.LONGEST_VALUE // 1024} KiB |
| all instructions together, with variables filled in | {limits.LARGEST_TOTAL // 1024} KiB |

A variable that the Dockerfile does not set, for example `PATH`, counts as {limits.UNKNOWN // 1024} KiB: it may come
from the base image.
"""


def page() -> str:
    """The text of docs/reference/checks.md."""
    return HEAD + "".join(f"| `{code}` | {text} |\n" for code, text in CHECKS.items()) + TAIL


if __name__ == "__main__":
    PAGE.write_text(page())
