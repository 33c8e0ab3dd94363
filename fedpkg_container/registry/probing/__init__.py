# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks whether mirrors and CDNs have the blobs of the mirror tree, with the right contents.

Mirrors are not trusted, and are sent no credentials. The operator names their URLs; other hosts to which they redirect
must not have addresses of this machine or of blocked networks.
"""
