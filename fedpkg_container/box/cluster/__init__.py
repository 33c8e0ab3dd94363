# SPDX-License-Identifier: GPL-2.0-or-later
"""A simulated Kubernetes: an API server over TLS, the controllers of Jobs and garbage, a scheduler and a kubelet.

A box can have one (``fedpkg-container-box up --cluster``), and tests run builds and faults in it. Comments mark
behavior that was measured on Kubernetes 1.36 with "a2" (pods) or "a3" (API calls), and behavior that is known only from
the source or documentation of Kubernetes with "source".
"""
