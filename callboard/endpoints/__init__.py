"""Endpoints of a FastAPI application as job types: :func:`~callboard.endpoints.respond_async.respond_async`."""
