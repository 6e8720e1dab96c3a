"""How statements reach PostgreSQL: engine, pipeline, row sets, group commit, notifications."""
