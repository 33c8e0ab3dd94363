"""The ways in which a build can be shown; in a file of its own, because completion reads it."""

#: What ``--progress`` takes.
KINDS = ("auto", "live", "plain", "json", "quiet")
