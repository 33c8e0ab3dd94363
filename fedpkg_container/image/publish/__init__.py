"""From staging to the final repository: image indexes, archives and floating tags."""
