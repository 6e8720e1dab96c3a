"""Requests and responses: bodies, parameters, rendering, problems, headers."""
