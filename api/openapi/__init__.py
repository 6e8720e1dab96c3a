"""The OpenAPI document: operations, models, examples."""
