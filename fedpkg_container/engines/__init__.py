"""Image building with buildah on this machine, independent of Koji."""
