"""The whole service on one machine: hub, builder, registry and dist-git on loopback, over TLS.

For a first look, for the documentation and for the tests; past that, people run the real Koji.
"""
