# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds in pods: the builder's side of the cluster engine. It does not know what a pod does to build an image."""
