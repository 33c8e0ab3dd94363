"""Communication with a Koji hub: sessions, checks, submission, following, reservations and recorded images."""
