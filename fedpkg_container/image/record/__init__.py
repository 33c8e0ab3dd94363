# SPDX-License-Identifier: GPL-2.0-or-later
"""Records of a build: files, content-generator metadata, import into Koji, attachments and SBOMs."""
