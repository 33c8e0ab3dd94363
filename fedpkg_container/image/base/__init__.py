"""Import of base images into Koji, so that builds on them have a recorded parent."""
