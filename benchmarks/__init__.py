# SPDX-License-Identifier: GPL-2.0-or-later
"""rpkg's own container-build and ours side by side, against one hub: ``make bench``."""
