# SPDX-License-Identifier: GPL-2.0-or-later
"""The program of a pod that builds an image for a builder. ``model/pod.py`` is the contract between both."""
