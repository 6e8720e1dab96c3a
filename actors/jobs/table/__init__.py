"""The job type ``table.analyze``."""
