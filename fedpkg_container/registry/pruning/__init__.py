# SPDX-License-Identifier: GPL-2.0-or-later
"""Removal of unneeded images from the candidate registry.

``inventory`` reads a repository, ``retention`` decides which images are kept and why, ``plan`` derives what can be
deleted, ``pruner`` does it and returns the ``report``.
"""
