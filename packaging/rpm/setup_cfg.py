# SPDX-License-Identifier: GPL-2.0-or-later
"""Print the contents of pyproject.toml as setup.cfg, for setuptools before 61; EPEL 9 has 53.

TOML is parsed with the standard library, or with the parser that pip contains.
"""

from __future__ import annotations

import configparser
import sys
from pathlib import Path
from typing import Any

try:
    import tomllib
except ImportError:  # before Python 3.11
    from pip._vendor import tomli as tomllib


def convert(pyproject: dict[str, Any]) -> configparser.ConfigParser:
    """Return the settings of a pyproject.toml in the format of setup.cfg, as far as this project uses them."""
    project, tool = pyproject["project"], pyproject["tool"]["setuptools"]
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # file names are case-sensitive
    parser["metadata"] = {
        "name": project["name"],
        "version": f"attr: {tool['dynamic']['version']['attr']}",
        "description": project["description"],
        "license": project["license"],
        "license_files": _lines(project["license-files"]),
    }
    parser["options"] = {
        "packages": "find:",
        "python_requires": project["requires-python"],
        "install_requires": _lines(project["dependencies"]),
    }
    parser["options.packages.find"] = {"include": _lines(tool["packages"]["find"]["include"])}
    extras = project["optional-dependencies"]
    parser["options.extras_require"] = {name: _lines(extras[name]) for name in extras}
    parser["options.package_data"] = {name: ", ".join(files) for name, files in tool["package-data"].items()}
    parser["options.data_files"] = {
        directory: _lines([str(path) for each in patterns for path in sorted(Path().glob(each))])
        for directory, patterns in tool["data-files"].items()
    }
    groups = {"console_scripts": project["scripts"], **project["entry-points"]}
    parser["options.entry_points"] = {
        group: _lines([f"{name} = {target}" for name, target in entries.items()]) for group, entries in groups.items()
    }
    return parser


def _lines(values: list[str]) -> str:
    return "".join(f"\n{value}" for value in values)


if __name__ == "__main__":
    convert(tomllib.loads(Path("pyproject.toml").read_text())).write(sys.stdout)
