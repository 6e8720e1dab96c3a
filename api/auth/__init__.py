"""Authentication: API keys, OIDC tokens, and the caller that they stand for."""
