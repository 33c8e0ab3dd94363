"""Where an image is built: buildah on this machine. An engine knows nothing of Koji."""
