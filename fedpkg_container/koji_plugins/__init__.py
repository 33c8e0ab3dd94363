"""The files that a Koji site loads: a folder for each of hub and builder; thin shims over the rooms."""
