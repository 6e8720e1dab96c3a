"""Signs of life: when a supervisor takes silence for standing still."""

from __future__ import annotations

import select
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from callboard.processes import watchdog
from callboard.processes.watchdog import Pulse, signs_of_life


class Listener:
    """A supervisor that listens every second of its own clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._now = 0.0
        monkeypatch.setattr(watchdog, "time", SimpleNamespace(monotonic=lambda: self._now))
        self.pulse = Pulse()

    def after(self, seconds: int) -> float:
        """Return the silence that it finds after so many seconds more."""
        for _ in range(seconds):
            self._now += 1
            self.pulse.silence()
        return self.pulse.silence()

    def hear(self) -> None:
        """Wait for a sign."""
        assert select.select([self.pulse._readable], [], [], 10)[0]
        assert self.pulse.silence() == 0


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    listener = Listener(monkeypatch)
    yield listener
    listener.pulse.close()


def test_a_start_may_take_a_minute_and_is_silence_after_that(listener: Listener) -> None:
    assert listener.after(60) == 0
    assert listener.after(10) == 10
    listener.pulse.hand_over()


def test_a_process_is_heard_at_once_and_missed_from_then_on(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else one that is suspended in its first moments would get a minute more."""
    monkeypatch.setattr(watchdog, "_EVERY", 3600)
    with signs_of_life(listener.pulse.descriptor):
        listener.hear()
        assert listener.after(5) == 5
    listener.pulse.hand_over()


def test_what_passes_while_nobody_listens_is_no_silence(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "_EVERY", 3600)
    with signs_of_life(listener.pulse.descriptor):
        listener.hear()
        listener._now += 3600
        assert listener.pulse.silence() == 1
    listener.pulse.hand_over()
