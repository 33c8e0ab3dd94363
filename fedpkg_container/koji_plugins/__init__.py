"""The files that a Koji site loads: one folder for each of hub, builder and CLI; thin shims over the rooms."""
