"""Live streams (server-sent events): feeds that poll the database once for all subscribers."""
