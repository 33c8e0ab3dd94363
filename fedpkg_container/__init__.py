# SPDX-License-Identifier: GPL-2.0-or-later
"""Container builds for packagers: the fedpkg client, the Koji plugins behind it, and a box to try both."""

__version__ = "0.1.0"
