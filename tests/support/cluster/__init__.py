# SPDX-License-Identifier: GPL-2.0-or-later
"""Scripted builds for a cluster, and the validation of objects for the simulated one (``box/cluster``)."""
