"""The command line. Client commands speak HTTP; server modules are imported by the commands that run them."""

from callboard.cli.app import app, main

__all__ = ["app", "main"]
