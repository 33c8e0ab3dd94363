# SPDX-License-Identifier: GPL-2.0-or-later
"""Promotion of builds from the candidate registry to a target, and its reversal.

``promote`` copies images (``copying``) and moves tags (``tagging``), and records that in the ``journal``;
``unpromote`` moves the tags back; ``listing`` shows the contents of a target.
"""
