"""Programs that run in a worker: each is one file that needs Python's standard library alone.

They are mounted read-only into the sandbox and started with ``python3 -I -S``, as a file.
"""
