"""How a build is shown. Renderers consume the hub's events and know nothing of Koji."""
