# SPDX-License-Identifier: GPL-2.0-or-later
"""Export of a registry's blobs as a tree of files for web servers, rsync and MirrorManager.

Only ``v2/`` and ``archives/`` are to be served; they contain complete, verified files. ``.mirror/`` is private: lock,
state and partial downloads. ``run.mirror`` shows the order of the steps.
"""
