"""The device of a process: which one a word means here, and what to do where it cannot be used."""

from types import SimpleNamespace

import pytest
import torch

from stnas.config import Config, RetrainConfig, SearchConfig, TrainConfig
from stnas.group import device
from stnas.group.device import described, device_of, take
from stnas.group.processes import ProcessGroup
from stnas.learn.memory import repaired_by, smaller_batches, smaller_parts


def machine(monkeypatch, *, gpus=1, capability=(9, 0), targets="sm_80, sm_90, PTX 90", built=True):
    """Let this machine have GPUs, and a torch and a stnas that know them or not."""
    backend = SimpleNamespace(
        is_available=lambda: gpus > 0,
        device_count=lambda: gpus,
        get_device_name=lambda _: "NVIDIA H100 80GB HBM3",
        get_device_capability=lambda _: capability,
        set_device=lambda _: None,
    )
    monkeypatch.setattr(device, "backend", lambda: backend)
    monkeypatch.setattr(device, "targets", lambda: targets)
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: built)


def of_a_group(monkeypatch, rank, size, *, local):
    monkeypatch.setenv("LOCAL_RANK", str(local))
    monkeypatch.setattr(device, "current", lambda: ProcessGroup(rank, size))


def test_auto_takes_the_gpu_and_leaves_one_that_cannot_be_used(monkeypatch):
    machine(monkeypatch)
    assert device_of("auto") == device_of("cuda") == torch.device("cuda", 0)
    assert device_of("cpu") == torch.device("cpu")
    assert described("auto") == "cuda, NVIDIA H100 80GB HBM3"
    machine(monkeypatch, gpus=0)
    assert device_of("auto") == torch.device("cpu")
    assert described("auto") == "cpu (torch finds no GPU)"
    of_a_group(monkeypatch, 3, 4, local=3)
    assert device_of("auto") == torch.device("cpu")
    assert described("cpu") == "cpu"


def test_a_number_names_one_of_several(monkeypatch):
    machine(monkeypatch, gpus=4)
    assert device_of("cuda:3") == torch.device("cuda", 3)


def test_every_process_of_a_machine_takes_a_gpu_of_its_own(monkeypatch):
    machine(monkeypatch, gpus=4)
    of_a_group(monkeypatch, 6, 8, local=2)
    assert device_of("auto") == device_of("cuda") == torch.device("cuda", 2)
    with pytest.raises(ValueError, match=r"with several processes, got cuda:1: .* leave the num"):
        device_of("cuda:1")


@pytest.mark.parametrize(
    ("about", "told"),
    [
        ({"gpus": 0}, r"torch finds no GPU: look at nvidia-smi, .* or set --device cpu"),
        ({"built": False}, r"is built without CUDA: install one that is built with it .* --device"),
        ({"targets": ""}, r"built without CUDA kernels: install it again with STNAS_CUDA=1"),
        (
            {"capability": (7, 5)},
            r"is of sm_75, older than .* STNAS_CUDA_ARCHS=75, or set --device",
        ),
    ],
    ids=["none", "CPU-only torch", "no kernels", "too old"],
)
def test_a_gpu_that_cannot_be_used_is_an_error_with_a_repair(monkeypatch, about, told):
    machine(monkeypatch, **about)
    with pytest.raises(ValueError, match=f"device cuda cannot be used: .*{told}"):
        device_of("cuda")
    assert device_of("auto") == torch.device("cpu")


def test_a_process_too_many_is_an_error_whatever_was_asked_for(monkeypatch):
    machine(monkeypatch, gpus=2)
    of_a_group(monkeypatch, 2, 4, local=2)
    for word in ("auto", "cuda"):
        with pytest.raises(ValueError, match=r"2 GPUs here, and number 2 .*--nproc-per-node 2"):
            device_of(word)


def kind_of_this(group):
    with pytest.MonkeyPatch.context() as patch:
        machine(patch, gpus=1 if group.rank == 1 else 0)
        patch.setenv("LOCAL_RANK", "0")
        return str(take("auto"))


def test_processes_with_other_devices_end_together(in_processes):
    found = in_processes(2, kind_of_this)
    told = "the kind of device must be the same in all processes, got others in rank 1"
    assert any(told in text for text in found)


@pytest.mark.parametrize("word", ["gpu", "cuda:", "cuda:x", "CUDA", "", "cpu:0"])
def test_other_words_are_refused(word):
    with pytest.raises(ValueError, match="device must be auto, cpu, cuda or cuda:N, got"):
        Config(device=word)


def test_too_little_memory_names_what_it_depends_on():
    parts = smaller_parts("train", TrainConfig(batch_size=512), "the last good state is s")
    for words in (
        "train.batch_size is 512, in 1 parts",
        "--train.micro_batches 2 or --train.precision bfloat16 or --train.batch_size 256",
        "the last good state is s",
    ):
        assert words in parts
    told = smaller_parts("retrain", RetrainConfig(batch_size=6, micro_batches=3), "")
    assert "--retrain.micro_batches" not in told
    told = r"too little memory \(Tried to allocate 2.00 GiB\): search\.evaluation_batch is"
    with pytest.raises(RuntimeError, match=told), repaired_by(smaller_batches(SearchConfig())):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has")


def test_other_errors_pass():
    with pytest.raises(ZeroDivisionError), repaired_by(""):
        raise ZeroDivisionError
