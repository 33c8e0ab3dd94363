# SPDX-License-Identifier: GPL-2.0-or-later
"""Attacks by a program that escaped from RUN: as root of its worker, with all its capabilities and files."""
