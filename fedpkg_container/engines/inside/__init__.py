"""Programs that run in a worker: started as files, they need only Python's standard library.

They are mounted read-only into the sandbox, in a directory of the same name, and started with ``python3 -I -S``.
``store.py`` and ``tar.py`` are not programs, but modules of them.
"""
