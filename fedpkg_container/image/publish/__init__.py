"""From staging to the final repository: image indexes and floating tags."""
