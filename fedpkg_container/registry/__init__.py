"""What is said to registries: references, manifests, copies, and the emptying of staging."""
