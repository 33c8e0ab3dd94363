"""Files of a checkout (Dockerfile, container.yaml and others) and their checks. No hub or registry is accessed."""
