"""The build of one image: Dockerfile changes, labels, log, limits and manual page."""
