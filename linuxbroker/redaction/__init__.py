"""Texts made safe for display: shortened, without control characters, without secrets."""
