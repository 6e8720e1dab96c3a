"""Rules of jobs: states, attempts, outcomes, retries, ids. Pure: no database."""
