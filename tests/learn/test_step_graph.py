"""Steps as a CUDA graph: what is captured when, what is replayed, and where there is none."""

from contextlib import contextmanager, nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from stnas.config import RetrainConfig
from stnas.learn.step_graph import WARM_UP, StepGraph, check_graph
from stnas.retrain import stage
from stnas.store.origin import changeable, origin_of, sections

GPU = torch.device("cuda", 0)


class Machine:
    """A module of torch's for a device, on which a captured step is done again to replay it."""

    def __init__(self, refuses=None):
        self.told, self.refuses, self.work = [], refuses, None

        self.Stream = self.current_stream
        self.CUDAGraph = lambda: SimpleNamespace(replay=self.replay)

    def current_stream(self):
        return SimpleNamespace(wait_stream=lambda _: self.told.append("wait"))

    def stream(self, _):
        self.told.append("beside")
        return nullcontext()

    @contextmanager
    def graph(self, _, **__):
        self.told.append("capture")
        if self.refuses is not None:
            raise self.refuses
        yield

    def replay(self):
        self.told.append("replay")
        self.work()


def slope(machine):
    """Make a graph of ``mean((w x)^2)``, and the weights."""
    weight = nn.Parameter(torch.tensor([2.0]))
    found = []

    def work(x, labels):
        loss = ((weight * x) ** 2).mean()
        (gradient,) = torch.autograd.grad(loss, weight)
        if machine.told[-1:] != ["capture"]:
            weight.grad = gradient
            return loss.detach(), labels.sum()
        weight.grad = torch.full_like(gradient, torch.nan)
        found.extend([torch.tensor(torch.nan), torch.tensor(0)])

        def again():
            loss = ((weight.detach() * x) ** 2).mean()
            found[0].copy_(loss)
            found[1].copy_(labels.sum())
            held.copy_(2 * weight.detach() * (x**2).mean())

        held, machine.work = weight.grad, again
        return found[0], found[1]

    return StepGraph(work, [weight], machine), weight


def test_batches_are_worked_on_captured_once_and_replayed():
    machine = Machine()
    graph, weight = slope(machine)
    for step in range(WARM_UP + 3):
        x, labels = torch.full((2,), 1.0 + step), torch.tensor([step, 1])
        weight.grad = None
        loss, count = graph(x, labels)
        assert float(loss) == pytest.approx(float((weight.detach() * x).square().mean()))
        assert int(count) == step + 1
        assert float(weight.grad) == pytest.approx(float(2 * weight.detach() * x.square().mean()))
        weight.data -= 0.01 * weight.grad
    beside = ["wait", "beside", "wait"] * WARM_UP
    assert machine.told == [*beside, "capture", *["replay"] * 3]


def test_a_batch_of_another_shape_is_worked_on_without_the_graph():
    machine = Machine()
    graph, weight = slope(machine)
    for _ in range(WARM_UP + 1):
        graph(torch.ones(2), torch.ones(2))
    told = len(machine.told)
    loss, _ = graph(torch.full((3,), 5.0), torch.ones(3))
    assert float(loss) == pytest.approx(100)
    assert float(weight.grad) == pytest.approx(100)
    graph(torch.full((2,), 3.0), torch.ones(2))
    assert machine.told[told:] == ["replay"]
    assert float(weight.grad) == pytest.approx(36)


def captured(error):
    graph, _ = slope(Machine(error))
    for _ in range(WARM_UP + 1):
        graph(torch.ones(2), torch.ones(2))


def test_what_cannot_be_captured_is_an_error_with_a_repair():
    told = r"cannot be captured as a CUDA graph \(not permitted\): set --retrain.cuda_graph false$"
    with pytest.raises(RuntimeError, match=told):
        captured(RuntimeError("not permitted\nmore"))
    with pytest.raises(torch.OutOfMemoryError):
        captured(torch.OutOfMemoryError("no memory"))


@pytest.mark.parametrize(
    ("given", "device", "told"),
    [
        ({}, torch.device("cpu"), "false on the processor, got true: set --retrain.cuda_graph f"),
        (
            {"micro_batches": 2},
            GPU,
            "with retrain.micro_batches 2, .* or --retrain.micro_batches 1",
        ),
        ({"mixup": 0.2}, GPU, "with retrain.mixup 0.2, .* set .* or --retrain.mixup 0.0"),
    ],
)
def test_where_there_can_be_no_graph_is_an_error_with_a_repair(given, device, told):
    options = RetrainConfig(cuda_graph=True, **given)
    with pytest.raises(ValueError, match=f"retrain.cuda_graph must be .*{told}"):
        check_graph(options, device)
    check_graph(replace(options, cuda_graph=False), device)
    check_graph(RetrainConfig(cuda_graph=True), GPU)


def test_a_run_on_the_processor_refuses_a_graph_before_it_begins(trained_run, tiny_settings):
    config = replace(
        tiny_settings, run=str(trained_run), retrain=replace(tiny_settings.retrain, cuda_graph=True)
    )
    before = sorted(trained_run.rglob("*"))
    with pytest.raises(ValueError, match="cuda_graph must be false on the processor"):
        stage.check(config, stage.prepare(config))
    assert sorted(trained_run.rglob("*")) == before


def test_a_run_goes_on_without_a_graph(tiny_settings):
    own = replace(tiny_settings, retrain=replace(tiny_settings.retrain, cuda_graph=True))
    origins = {origin_of(sections(config, "retrain"), "retrain") for config in (tiny_settings, own)}
    assert len(origins) == 1
    assert "retrain.cuda_graph" in changeable("retrain")
