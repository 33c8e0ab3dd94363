"""What a Koji hub must answer, the box's as well as a real one (see conftest.py for how to choose)."""
