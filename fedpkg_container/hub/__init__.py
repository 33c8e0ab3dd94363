# SPDX-License-Identifier: GPL-2.0-or-later
"""Communication with a Koji hub: sessions, checks, submission, following, reservations and recorded images."""
