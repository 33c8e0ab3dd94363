"""A Koji hub for one machine: Koji's XML-RPC interface over TLS, its state in SQLite.

``app`` speaks HTTP and XML-RPC, ``dispatch`` finds and runs a call inside a transaction, ``calls`` holds the calls
themselves, one subject a module. Which calls there are, and who makes them, is in docs/hub-methods.md. What they
answer follows the real hub; ``tests/contract`` states it for both.
"""
