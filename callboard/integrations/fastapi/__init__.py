"""Endpoints of a FastAPI application as job types: :func:`respond_async`."""
