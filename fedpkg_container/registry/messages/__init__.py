# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages about promotions and their reversal, to a program or a message broker.

The promotion journal is the queue: every completed change after the position that is stored beside it is pending.
"""
