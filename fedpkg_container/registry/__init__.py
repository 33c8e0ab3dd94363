# SPDX-License-Identifier: GPL-2.0-or-later
"""Client for container registries, and what runs on it: promotion, mirror, pruning, import, redirects."""
