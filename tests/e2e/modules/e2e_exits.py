"""A program that was meant to be run: it must not take the processes along that import it."""

from __future__ import annotations

import sys

sys.exit(0)
