"""Imports finished jobs of another system's status table into the history."""

from callboard.history_import.mapping import COLUMNS, InvalidRow, Mapping
from callboard.history_import.sources import has_password, numbered, reading_file, reading_query
from callboard.history_import.store import Imported, check_rows, import_rows

__all__ = [
    "COLUMNS",
    "Imported",
    "InvalidRow",
    "Mapping",
    "check_rows",
    "has_password",
    "import_rows",
    "numbered",
    "reading_file",
    "reading_query",
]
