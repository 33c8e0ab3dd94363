# SPDX-License-Identifier: GPL-2.0-or-later
"""A Koji hub for one machine: Koji's XML-RPC interface over TLS, its state in SQLite.

``app`` implements HTTP and XML-RPC, ``dispatch`` runs a call in a transaction, and ``calls`` has the calls, one module
per subject. docs/internals/hub-methods.md lists the calls and their callers. Responses follow the real hub;
``tests/contract`` specifies them for both.
"""
