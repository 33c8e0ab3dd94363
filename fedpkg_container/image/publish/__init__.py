# SPDX-License-Identifier: GPL-2.0-or-later
"""From staging to the final repository: image indexes and floating tags."""
