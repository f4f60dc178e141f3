"""Signals are kept, and one whose exception is lost is known all the same."""

from __future__ import annotations

import signal

import pytest

from clipviz.stopping import Stopping


class _Finalized:
    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_that_a_finalizer_swallows_is_known() -> None:
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with Stopping((), at_once=True) as stopping:
            _Finalized()
        assert stopping.asked == signal.SIGINT
        with Stopping((), at_once=True), pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_first_is_kept_and_the_second_ends() -> None:
    with Stopping((signal.SIGINT,)) as stopping:
        signal.raise_signal(signal.SIGINT)
        assert stopping.asked == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
