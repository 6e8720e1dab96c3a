"""The work: job types, the worker that runs them, the dispatcher that feeds it."""
