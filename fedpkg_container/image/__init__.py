# SPDX-License-Identifier: GPL-2.0-or-later
"""The build pipeline, from a commit to a recorded image.

``container_build`` runs a whole build, ``arch_build`` the image of one architecture, ``local_build`` a build on the
packager's own machine. Their steps are in the subpackages ``resolve``, ``building``, ``inspect``, ``publish`` and
``record``; ``base`` imports base images. Modules do not know where they run: sessions, logs and directories are passed
to them.
"""
