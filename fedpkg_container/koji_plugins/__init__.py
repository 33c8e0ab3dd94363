# SPDX-License-Identifier: GPL-2.0-or-later
"""Koji plugins: a directory each for hub, builder and CLI, with thin wrappers of this project's packages."""
