# SPDX-License-Identifier: GPL-2.0-or-later
"""What a cluster must do for the engine, and what the engine must do whatever the cluster does.

The tests run against the simulated cluster of ``fedpkg_container/box/cluster``, or against a real one: ``make
check-cluster KUBECONFIG=… NAMESPACE=… IMAGE=…``. Those that need faults of the simulated one use the fixture
``simulated``.
"""
