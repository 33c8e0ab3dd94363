# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks whether mirrors and CDNs have the blobs of the mirror tree, with the right contents.

Mirrors are not trusted, and get no credentials. The operator names their URLs; hosts to which they redirect must have
public addresses.
"""
