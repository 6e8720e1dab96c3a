from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from callboard.processes.signals import StopSignal


@pytest.fixture
def stop() -> Iterator[StopSignal]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    stop = StopSignal()
    yield stop
    for number, handler in before.items():
        signal.signal(number, handler)
    stop.close()
