# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands: argument parsing, one call into the library, and output.

Modules here import nothing slow at their top: parsing the arguments must take a few milliseconds only.
"""
