"""Client for container registries, and what runs on it: promotion, mirror, pruning, import, redirects."""
