# SPDX-License-Identifier: GPL-2.0-or-later
"""Data shared between packages: frozen dataclasses, and the schema of the ``buildContainer`` options.

Modules in this package access no hub, registry or file.
"""
