"""Callboard inside other frameworks' applications."""
