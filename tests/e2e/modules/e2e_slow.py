"""A module that takes long to import, where a job runs in a process of its own."""

from __future__ import annotations

import sys
import time

if "callboard.actors.execution.isolation.child" in sys.modules:
    time.sleep(5)
