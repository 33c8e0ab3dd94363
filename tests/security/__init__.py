"""What a program that got out of RUN can do: as root of its worker, with all of its capabilities and files."""
