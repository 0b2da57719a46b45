"""Texts fit to be shown: cut, without control characters, without secrets."""
