"""Inspection of a built image and its buildroot, without executing anything from the image."""
