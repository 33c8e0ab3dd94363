"""Programs that run in a worker: each is a single file that needs only Python's standard library.

They are mounted read-only into the sandbox and started with ``python3 -I -S``, as a file.
"""
