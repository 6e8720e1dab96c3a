"""The version of Callboard that runs; the only place that says it. What is built gets it from here."""

from typing import Final

VERSION: Final = "0.1.0"
