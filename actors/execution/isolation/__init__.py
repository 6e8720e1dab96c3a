"""Handlers in processes of their own: ``isolation="process"``. See docs/decisions/0009-isolation.md."""
