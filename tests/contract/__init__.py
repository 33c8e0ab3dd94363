# SPDX-License-Identifier: GPL-2.0-or-later
"""The contract of a Koji hub, for the hub of the box and for real ones (conftest.py explains the choice)."""
