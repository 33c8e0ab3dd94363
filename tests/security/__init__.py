"""Attacks by a program that escaped from RUN: as root of its worker, with all its capabilities and files."""
