"""Steps on an emulated GPU: nobody waits for it, and a tensor that was left behind is noticed."""

from dataclasses import replace

import pytest
import whole_work
from whole_device import on_emulated_gpu

from stnas.space.families import FAMILIES

DEVICES = "same device"
WAITED = "waited"
TO_DEVICE = ".to(device_of(config.device))"
ZEROS = "torch.zeros(layer.num_features"


@pytest.fixture
def on_gpu(gpu_libraries, small, tmp_path):
    """Do a piece of work on the emulated GPU, and return how often the host waited."""
    config = replace(small, device="cuda", run=str(tmp_path / "run"))

    def work(name, *more):
        return on_emulated_gpu(gpu_libraries, getattr(whole_work, name), config, *more)

    return work


WAITS = {
    "steps_of_training": 0,
    "steps_in_parts": 0,
    "steps_of_retraining": 0,
    "steps_of_finetuning": 1,
}
"""How often three steps, with what comes before them, may wait: the weights of classes are sent."""


@pytest.mark.parametrize("work", WAITS)
def test_no_step_waits_for_the_device(on_gpu, work):
    assert on_gpu(work) == WAITS[work]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_replayed_training_has_the_bits_of_one_without_a_graph(on_gpu, precision):
    assert on_gpu("graphed", precision) == 0


GRAPH = "learn.step_graph:StepGraph.__call__"
GRAPH_BUGS = [
    (GRAPH, "given[0].copy_(images)", "pass", "equal|losses"),
    (GRAPH, "given[1].copy_(labels)", "pass", "equal|losses"),
    (GRAPH, "graph.replay()", "pass", "loss of network A is nan"),
    (GRAPH, "parameter.grad = gradient", "pass", "equal|losses"),
    (
        "learn.network_step:NetworkStep._unread",
        "labels, None)", "labels, 0)", "cannot be captured.*--retrain.cuda_graph false",
    ),
    (
        "learn.network_step:NetworkStep._unread",
        "outcome.unread_losses,", "outcome.unread_losses * outcome.loss,",
        "cannot be captured as a CUDA graph .operation not permitted",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("place", "good", "bad", "told"), GRAPH_BUGS, ids=str)
def test_a_wrong_graph_is_noticed(on_gpu, place, good, bad, told):
    with pytest.raises(RuntimeError, match=told):
        on_gpu("with_a_bug", "graphed", place, good, bad)


@pytest.mark.parametrize(("work", "most"), [("scores", 6), ("classified", 14)])
def test_a_score_is_waited_for_once(on_gpu, work, most):
    assert 0 < on_gpu(work) <= most


@pytest.mark.parametrize("backend", ["eager", "kernels"])
def test_latencies_are_those_of_the_device(on_gpu, backend):
    found = on_gpu("latencies", backend)
    assert found["device"] == "emulated, emulated GPU"
    assert min(row["measured"] for row in found["networks"]) > 0


def test_a_program_for_processors_measures_no_gpu(on_gpu):
    with pytest.raises(RuntimeError, match="device must be cpu with --backend onnx"):
        on_gpu("latencies", "onnx")


@pytest.mark.dali
def test_what_dali_decodes_on_a_gpu_stays_there(on_gpu, tiny_photographs):
    assert on_gpu("decoded_there", str(tiny_photographs)) == 0


@pytest.mark.parametrize("family", [name for name, own in FAMILIES.items() if own.PROFILES])
def test_every_family_trains_and_scores(on_gpu, family):
    assert on_gpu("step_of", family) == 0


SEARCHES = [
    ("darts1", "none", 0), ("darts1", "merge", 0), ("darts2", "none", 0),
    ("betadarts", "prefix", 0), ("pcdarts", "none", 0),
    ("gdas", "merge", 3 * 2),
]  # fmt: skip
"""Strategy, level of sharing, and waits of three steps: a drawn candidate must be known."""


@pytest.mark.parametrize(("strategy", "level", "most"), SEARCHES)
def test_no_step_of_a_search_by_gradients_waits(on_gpu, strategy, level, most):
    assert on_gpu("steps_of_searching", strategy, level) == most


BUGS = [
    ("steps_of_training", "learn.task:prepare", ".on(device)", "", DEVICES),
    ("steps_of_training", "learn.task:build_supernet", TO_DEVICE, "", DEVICES),
    ("steps_of_training", "data.batches:train_batch", "sent(indices, device)", "indices", DEVICES),
    (
        "steps_of_training", "data.batches:train_batch",
        "sent(split.labels[indices], device)", "split.labels[indices]", DEVICES,
    ),
    ("steps_of_training", "data.batches:train_batch", "sent(offsets, device)", "offsets", DEVICES),
    (
        "steps_of_training", "data.batches:train_batch",
        "sent(mirrored, device)", "mirrored", DEVICES,
    ),
    (
        "steps_of_training", "data.batches:_jitter",
        "sent(factors, images.device)", "factors", DEVICES,
    ),
    (
        "steps_of_training", "ops.images:normalise",
        "sent(torch.tensor(mean), images.device)", "torch.tensor(mean)", DEVICES,
    ),
    ("steps_of_training", "data.batches:class_weights", ".to(device)", "", DEVICES),
    ("steps_of_training", "ops.sending:sent", ".pin_memory()", "", WAITED),
    ("steps_of_training", "ops.sending:sent", ", non_blocking=True", "", WAITED),
    (
        "steps_of_training", "learn.gradients:Outcome.unread",
        "if self.unread_losses.is_cpu", "if True", WAITED,
    ),
    ("steps_of_retraining", "learn.task:build_network", TO_DEVICE, "", DEVICES),
    ("resumed", "learn.network_fit:Fit.resume_", ".to(parameter.device)", "", DEVICES),
    ("steps_of_finetuning", "rank.finetuning:finetuned", "1.0 / step", "None", WAITED),
    (
        "steps_of_finetuning", "rank.finetuning:finetuned",
        ", device=dataset.device", "", DEVICES,
    ),
    ("scores", "data.dataset:Split.take", ".to(self.images.device)", "", DEVICES),
    (
        "scores", "data.batches:eval_batch",
        "sent(split.labels[start:stop], images.device)", "split.labels[start:stop]", DEVICES,
    ),
    (
        "scores", "supernet.norms:reset_statistics",
        f"{ZEROS}, device=device)", f"{ZEROS})", DEVICES,
    ),
    (
        "scores", "supernet.norms:track_statistics_",
        f"{ZEROS}, device=device)", f"{ZEROS})", DEVICES,
    ),
]  # fmt: skip
"""Work, place, what stands there, what stands there in its place, and what notices it."""


@pytest.mark.parametrize(("work", "place", "good", "bad", "told"), BUGS, ids=str)
def test_a_planted_bug_is_noticed(on_gpu, work, place, good, bad, told):
    if told == WAITED:
        assert on_gpu("with_a_bug", work, place, good, bad) > WAITS[work]
    else:
        with pytest.raises(RuntimeError, match=told):
            on_gpu("with_a_bug", work, place, good, bad)
