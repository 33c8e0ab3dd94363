# SPDX-License-Identifier: GPL-2.0-or-later
"""Files of a checkout (Dockerfile, container.yaml and others) and their checks. No hub or registry is accessed."""
