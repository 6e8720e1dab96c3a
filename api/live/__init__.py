"""Waiting requests and live streams (server-sent events): one query at a time polls the database for all of them."""
