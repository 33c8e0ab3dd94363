# SPDX-License-Identifier: GPL-2.0-or-later
"""The build of one image: Dockerfile changes, labels, log, limits and manual page."""
