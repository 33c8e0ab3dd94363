# SPDX-License-Identifier: GPL-2.0-or-later
"""All services on one machine: hub, builder, registry and dist-git on loopback, over TLS.

For evaluation, documentation and tests; production sites run Koji itself.
"""
