"""Something to build: RPMs and a base image made of this machine's own programs, and a container that uses them.

Nothing is downloaded. What it makes is real where it matters: RPMs with a database that rpm and dnf read.
"""
