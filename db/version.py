"""The version of Callboard that runs."""

from importlib.metadata import version
from typing import Final

VERSION: Final = version("callboard")
