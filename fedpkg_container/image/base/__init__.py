# SPDX-License-Identifier: GPL-2.0-or-later
"""Import of base images into Koji, so that builds on them have a recorded parent."""
