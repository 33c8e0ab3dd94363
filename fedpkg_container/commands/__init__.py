"""What a person types: arguments, one library call, presentation.

A module here imports nothing heavy at its top: its arguments must be readable in a few milliseconds.
"""
