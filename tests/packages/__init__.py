# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages of this project, built here: wheel and RPMs."""
