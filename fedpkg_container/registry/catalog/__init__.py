# SPDX-License-Identifier: GPL-2.0-or-later
"""A static web site of the contents of a target: repositories, builds, packages, and a feed of promotions.

``run.py`` updates a directory: ``reader.py`` reads what is new in the registry, ``state.py`` stores it, ``views.py``
arranges it, and ``site.py`` renders and writes the pages. All text from the registry is untrusted: it is bounded and
made printable in ``facts.py``, and escaped by the templates.
"""
