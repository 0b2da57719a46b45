"""Integrations with other libraries: one module for each, which requires that library's extra."""
