"""The command line. Some commands send HTTP requests, others run servers or use the database.

Each command imports what only it needs when it runs, so that all of them start quickly.
"""

from callboard.cli.app import app, main

__all__ = ["app", "main"]
