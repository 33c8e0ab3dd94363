# SPDX-License-Identifier: GPL-2.0-or-later
"""A simulated Kubernetes: an API server over TLS, the controllers of Jobs and garbage, a scheduler and a kubelet.

A box can have one (``fedpkg-container-box up --cluster``), and tests run builds and faults in it. Comments name what
they imitate by the section of the measurements on Kubernetes 1.36: a2 (pods), a3 (API calls). Behavior that is known
from Kubernetes' source or documentation only is marked "source".
"""
