"""Handlers in processes of their own: ``isolation="process"``. See docs/decisions/ for why it is built like this."""
