"""The server: uvicorn, connections, middleware, metrics."""
