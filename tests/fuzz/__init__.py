"""Hostile input: ``python -m tests.fuzz --help``."""
