"""Job types that come with Callboard."""
