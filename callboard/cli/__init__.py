"""The command line. Some commands send HTTP requests, others run servers or use the database.

Each command imports what only it needs when it runs, so that all of them start quickly.
"""

import sys

from callboard.actors.types.import_path import settle_import_path


def main() -> None:
    """Run the command line and exit; see :func:`callboard.cli.app.main`."""
    for said in settle_import_path():
        sys.stderr.write(f"{said}\n")
    from callboard.cli.app import main as run

    run()
