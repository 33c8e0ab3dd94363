# SPDX-License-Identifier: GPL-2.0-or-later
"""Image building with buildah on this machine, independent of Koji."""
