# SPDX-License-Identifier: GPL-2.0-or-later
"""Steps before the build: source, parent images, names, repositories, checks, and the build plan."""
