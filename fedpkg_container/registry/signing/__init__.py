# SPDX-License-Identifier: GPL-2.0-or-later
"""Signatures of promoted images, compatible with cosign: keys, formats, signing, verification, and clients' policies.

``settings`` and ``client_policy`` do not import cryptography; the other modules do.
"""
