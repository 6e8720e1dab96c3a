"""The watchdog: when a supervisor takes silence for a hang."""

from __future__ import annotations

import select
from collections.abc import Iterator

import pytest

from callboard.processes.watchdog import Watchdog, feeding_watchdog


class Listener:
    """A supervisor that reads the watchdog every second of its own clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.watchdog = Watchdog(clock=lambda: self.now)

    def after(self, seconds: int) -> float:
        """Return the silence that it finds after so many seconds more."""
        for _ in range(seconds):
            self.now += 1
            self.watchdog.silence()
        return self.watchdog.silence()

    def wait_for_byte(self) -> None:
        """Wait for a byte."""
        assert select.select([self.watchdog._readable], [], [], 10)[0]
        assert self.watchdog.silence() == 0


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.watchdog.close()


def test_a_start_may_take_a_minute_and_is_silence_after_that(listener: Listener) -> None:
    assert listener.after(60) == 0
    assert listener.after(10) == 10
    listener.watchdog.close_descriptor()


def test_a_process_is_heard_at_once_and_missed_from_then_on(listener: Listener) -> None:
    """Otherwise a process that is suspended right after its start would get a minute more."""
    with feeding_watchdog(listener.watchdog.descriptor, interval=3600):
        listener.wait_for_byte()
        assert listener.after(5) == 5
    listener.watchdog.close_descriptor()


def test_time_in_which_nobody_reads_is_no_silence(listener: Listener) -> None:
    with feeding_watchdog(listener.watchdog.descriptor, interval=3600):
        listener.wait_for_byte()
        listener.now += 3600
        assert listener.watchdog.silence() == 1
    listener.watchdog.close_descriptor()
