"""Signals are held back to a place where the state can be saved."""

import os
import signal

import pytest

from stnas.group.interruption import SIGNALS, Deferral, Stopped, answer_with, restore, stop_now


@pytest.fixture(autouse=True)
def restored():
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    restore(before)


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_the_first_signal_waits_for_the_end(number):
    asked = []

    def work():
        with Deferral() as deferral:
            os.kill(os.getpid(), number)
            asked.append(deferral.asked)

    with pytest.raises(Stopped) as stop:
        work()
    assert asked == [number]
    assert stop.value.number == number


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_the_second_stops_at_once(number):
    reached = []

    def work():
        with Deferral():
            os.kill(os.getpid(), number)
            reached.append("first")
            os.kill(os.getpid(), number)
            reached.append("second")

    with pytest.raises(Stopped):
        work()
    assert reached == ["first"]


def test_a_hang_up_that_is_ignored_goes_on_to_be():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    answer_with(stop_now)
    with Deferral() as deferral:
        os.kill(os.getpid(), signal.SIGHUP)
        assert deferral.asked is None
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
