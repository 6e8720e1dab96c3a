"""One job from an HTTP request to its row in the history: what ``make demo`` runs."""
