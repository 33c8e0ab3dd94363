"""What travels between rooms: frozen dataclasses, and the schema of buildContainer's options.

Nothing here talks to a hub, a registry or a disk.
"""
