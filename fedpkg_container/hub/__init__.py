"""What is said to a Koji hub: sessions, checks, submission, following, reservations and imports."""
