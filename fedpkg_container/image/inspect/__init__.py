# SPDX-License-Identifier: GPL-2.0-or-later
"""Inspection of a built image and its buildroot, without executing anything from the image."""
