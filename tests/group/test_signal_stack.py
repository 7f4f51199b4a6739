"""The alternate signal stack is the thread's own again."""

import ctypes
import os
import signal
import sys

import numpy as np
import pytest

from stnas.group.signal_stack import Stack, kept_signal_stack, signal_stack

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux's sigaltstack(2)")
SIZE = 65536


def test_a_stack_that_is_set_inside_is_taken_back():
    before, memory = signal_stack(), ctypes.create_string_buffer(SIZE)
    other = Stack(start=ctypes.addressof(memory), flags=0, size=SIZE)
    with kept_signal_stack():
        assert ctypes.CDLL(None).sigaltstack(ctypes.byref(other), None) == 0
        assert signal_stack().start == ctypes.addressof(memory)
    after = signal_stack()
    assert (after.start, after.size) == (before.start, before.size)
    del memory


def test_signals_are_answered_after_overlapping_sessions_of_openvino():
    openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed")
    opset = pytest.importorskip("openvino.opset13")
    given = opset.parameter([1, 3], np.float32)
    model = openvino.Model([opset.relu(given)], [given], "relu")
    lives = []
    for _ in range(3):
        with kept_signal_stack():
            lives.append(openvino.Core().compile_model(model, "CPU"))
    while lives:
        del lives[0]
    answered = []
    before = signal.signal(signal.SIGTERM, lambda number, _: answered.append(number))
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert answered == [signal.SIGTERM]
