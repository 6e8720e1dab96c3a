"""Finished jobs of an existing status table, brought into the history."""

from callboard.imports.mapping import COLUMNS, InvalidRow, Mapping
from callboard.imports.store import Imported, check_rows, import_rows

__all__ = ["COLUMNS", "Imported", "InvalidRow", "Mapping", "check_rows", "import_rows"]
