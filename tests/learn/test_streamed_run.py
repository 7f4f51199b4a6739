"""A whole run on a streamed folder of JPEG images, stopped and resumed, and its scan."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stnas import retrain, search, sgld, train
from stnas.config import Config, DataConfig, settling
from stnas.data import scan
from stnas.data.epochs import evaluation_batches, training_batches
from stnas.learn.scoring import recalibration_images
from stnas.learn.task import prepare
from stnas.store.files import read_json
from stnas.store.run_folder import RunFolder
from stnas.store.tensors import read_tensors
from stnas.train import stage


@pytest.fixture(params=["dali", "pillow"])
def config(request, tiny_photographs, tiny_config):
    data = DataConfig(path=str(tiny_photographs), backend=request.param, image_size=16, jitter=0.2)
    return replace(
        tiny_config,
        data=data,
        train=replace(tiny_config.train, epochs=2, batch_size=8),
        sgld=replace(tiny_config.sgld, samples=2),
        search=replace(tiny_config.search, recalibration_images=17, recalibration_batch=8),
        retrain=replace(tiny_config.retrain, epochs=1, batch_size=8),
    )


def weights(config: Config, name: str) -> dict[str, torch.Tensor]:
    return read_tensors(Path(config.run) / f"{name}.safetensors")[0]


def equal(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


class StoppedError(Exception):
    pass


def test_all_stages_run_and_a_stopped_run_ends_as_one_that_was_not(config, monkeypatch, tmp_path):
    whole = replace(config, run=str(tmp_path / "whole"))
    for each in (train, sgld, search, retrain):
        each.run(whole)
    networks = read_json(tmp_path / "whole/retrain/result.json")["networks"]
    assert all(0 <= network["test_accuracy"] <= 1 for network in networks)

    original = stage.train_epoch_

    def once(*words, epoch, **more):
        if epoch == 1:
            raise StoppedError
        original(*words, epoch=epoch, **more)

    with monkeypatch.context() as patch:
        patch.setattr(stage, "train_epoch_", once)
        with pytest.raises(StoppedError):
            train.run(config)
    train.run(config)
    sgld.run(config)
    for name in ("train/weights", "sgld/mean"):
        assert equal(weights(config, name), weights(whole, name)), name


@pytest.mark.dali
def test_a_run_keeps_the_backend_that_it_began_with(config, monkeypatch):
    automatic = replace(config, data=replace(config.data, backend="auto"))
    train.run(automatic)
    assert read_json(Path(config.run) / "train/config.json")["data"]["backend"] == "dali"
    monkeypatch.setattr(settling, "dali_is_installed", lambda: False)
    with pytest.raises(ValueError, match=r"data\.backend: 'dali', now 'pillow'"):
        sgld.run(automatic)
    with pytest.raises(ValueError, match=r"pip install 'stnas\[dali\]'"):
        RunFolder(replace(config, data=replace(config.data, backend="dali")))


def test_the_scan_is_kept_and_a_damaged_one_is_done_again(config, monkeypatch, capsys):
    read = []
    original = scan.inspect
    monkeypatch.setattr(scan, "inspect", lambda file: read.append(file) or original(file))
    first = prepare(config).dataset.fingerprint
    assert len(read) == 54
    assert prepare(config).dataset.fingerprint == first
    assert len(read) == 54
    (Path(config.run) / "data/scan.safetensors").write_bytes(b"damaged")
    assert prepare(config).dataset.fingerprint == first
    assert len(read) == 108
    assert "every image is looked at again" in capsys.readouterr().out


@pytest.mark.parametrize("fault", ["changed", "gone", "added"])
def test_images_that_change_between_two_stages_are_named(config, fault, capsys):
    train.run(config)
    file, same = sorted(Path(config.data.path).rglob("train/*/*.jpg"))[:2]
    file = file.with_name("another.jpg") if fault == "added" else file
    content = file.read_bytes() if file.exists() else None
    try:
        same.touch()
        if fault == "gone":
            file.unlink()
        else:
            file.write_bytes(same.read_bytes())
        with pytest.raises(ValueError, match=r"data\.path gives other images"):
            sgld.run(config)
    finally:
        file.unlink(missing_ok=True)
        if content is not None:
            file.write_bytes(content)
    told = [line for line in capsys.readouterr().out.splitlines() if "changed since" in line]
    assert told == [f"changed since the last start: {file.relative_to(config.data.path)}"]
    sgld.run(config)


def test_recalibration_leaves_out_a_batch_of_one(config):
    images = recalibration_images(config, prepare(config))
    assert [len(batch) for batch in images] == [8, 8]
    assert len(images) == 2
    assert all(torch.equal(a, b) for a, b in zip(images, images, strict=True))


@pytest.mark.parametrize("streamed", [True, False])
def test_ranks_get_parts_of_the_same_batches(config, streamed):
    if not streamed:
        config = replace(config, data=DataConfig(path=config.data.path, image_size=16))
    data = prepare(config).dataset
    options = {"config": config, "purpose": "augment", "seed": 5, "epoch": 1, "size": 7}
    whole = list(training_batches(data, data.train, **options))
    assert [len(labels) for _, labels in whole] == [7] * 5
    later = list(training_batches(data, data.train, start=3, **options))
    parts = [
        list(training_batches(data, data.train, rank=rank, world=2, **options)) for rank in (0, 1)
    ]
    joined = [tuple(map(torch.cat, zip(*pair, strict=True))) for pair in zip(*parts, strict=True)]
    for found, expected in ((later, whole[3:]), (joined, whole)):
        for (images, labels), (others, numbers) in zip(found, expected, strict=True):
            assert torch.equal(images, others)
            assert torch.equal(labels, numbers)
    cut = evaluation_batches(data, data.test, size=5)
    ranks = [evaluation_batches(data, data.test, size=5, rank=r, world=2) for r in (0, 1)]
    assert ([len(labels) for _, labels in cut], len(cut)) == ([5, 5, 2], 3)
    assert [len(rank) for rank in ranks] == [2, 1]
    assert torch.equal(next(iter(ranks[1]))[0], list(cut)[1][0])
