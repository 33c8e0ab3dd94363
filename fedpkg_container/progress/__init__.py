"""How a build is shown: live terminal, plain lines, JSON lines, or its end alone.

A renderer is a context manager that is given events; what it writes to, it is told.
"""
