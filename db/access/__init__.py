"""Who may: API keys and the audit log."""
