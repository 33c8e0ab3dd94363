"""Steps before the build: source, parent images, names, repositories, checks, and the build plan."""
