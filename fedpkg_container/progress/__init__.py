# SPDX-License-Identifier: GPL-2.0-or-later
"""Progress display of a build: live terminal view, plain lines, JSON lines, or the result only.

A renderer is a context manager that is called with each event and writes to the stream that it was created with.
"""

#: Values of ``--progress``; here because completion must import them fast.
KINDS = ("auto", "live", "plain", "json", "quiet")
