"""rpkg's own container-build and ours side by side, against one hub: ``make bench``."""
