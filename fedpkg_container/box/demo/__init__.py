# SPDX-License-Identifier: GPL-2.0-or-later
"""Demonstration content: RPMs and a base image made of this machine's programs, and a container that uses them.

Nothing is downloaded. The content is real where required: the RPMs have a database that rpm and dnf read.
"""
