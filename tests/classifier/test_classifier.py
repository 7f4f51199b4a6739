"""What a user takes away: a module with its classes, its preprocessing and its predictions."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch.testing import assert_close

import stnas
from stnas.classifier import Preprocessing, save
from stnas.config import DataConfig
from stnas.data.decode import decode
from stnas.data.requests import evaluation_requests
from stnas.data.streaming import batches, open_streamed
from stnas.store.files import read_json


def preprocessing(size=8, channels=3, **changes):
    fields = {"mean": (0.5,) * channels, "std": (0.25,) * channels, "resize": size}
    return Preprocessing(image_size=size, in_channels=channels, **{**fields, **changes})


def test_a_run_gives_its_largest_choice_and_a_folder_its_network(trained_run):
    rows = read_json(trained_run / "retrain/result.json")["networks"]
    chosen = [row["name"] for row in rows if row["role"] == "chosen"]
    assert stnas.load(trained_run).description["name"] == chosen[-1]
    made = stnas.load(trained_run / "retrain" / chosen[0])
    assert not made.training
    network = stnas.load_network(trained_run / "retrain" / chosen[0])
    x = torch.randn(3, 1, 12, 12)
    with torch.no_grad():
        assert torch.equal(made(x), network(x))
    assert made.classes == ("0", "1", "2", "3")


def test_predictions_are_the_softmax_of_the_prepared_images(trained_run):
    made = stnas.load(trained_run).train()
    images = np.random.default_rng(0).integers(0, 256, (70, 12, 12), dtype=np.uint8)
    found = made.predict(images)
    assert made.training
    made.eval()
    with torch.no_grad():
        expected = made(made.preprocess(images)).softmax(1)
    assert len(found) == 70
    for row, one in zip(expected, found, strict=True):
        assert_close(torch.tensor(list(one.probabilities.values())), row)
        assert one.name == made.classes[int(row.argmax())]
        assert one.best(2)[0] == (one.name, one.probability)


def test_a_saved_file_holds_all_of_it(trained_run, tmp_path):
    made = stnas.load(trained_run)
    save(made, tmp_path / "one.safetensors")
    back = stnas.load(tmp_path / "one.safetensors")
    assert back.preprocess == made.preprocess
    assert back.description == made.description
    x = torch.randn(2, 1, 12, 12)
    with torch.no_grad():
        assert torch.equal(back(x), made(x))


def test_files_are_prepared_as_images_in_memory_are(tiny_photographs):
    files = sorted((tiny_photographs / "train/red").glob("*.jpg"))
    config = DataConfig(path=str(tiny_photographs), image_size=20)
    expected = decode(files, root=tiny_photographs, config=config)
    of = Preprocessing.of(
        config, image_size=20, in_channels=3, mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 0.5)
    )
    assert torch.equal(of.pixels(files), expected)
    mean, std = (torch.tensor(v)[:, None, None] for v in (of.mean, of.std))
    assert_close(of(files), (expected / 255 - mean) / std)


def test_files_are_prepared_as_streamed_images_are(tiny_photographs):
    config = DataConfig(path=str(tiny_photographs), image_size=16, backend="pillow")
    dataset, _ = open_streamed(config, seed=0, known=None, say=print)
    requests = evaluation_requests(dataset.test, size=64)
    ((expected, _),) = batches(dataset.test, requests, mean=dataset.mean, std=dataset.std)
    of = Preprocessing.of(config, image_size=16, in_channels=3, mean=dataset.mean, std=dataset.std)
    assert of.resize == 18
    assert_close(of(list(dataset.test.files)), expected)


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    size=st.integers(4, 16),
    channels=st.sampled_from([1, 3]),
    mode=st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"]),
)
def test_any_image_becomes_a_square(height, width, size, channels, mode):
    image = Image.new(mode, (width, height))
    found = preprocessing(size, channels).pixels(image)
    assert found.shape == (1, channels, size, size)
    assert found.dtype == torch.uint8


def test_arrays_tensors_pictures_and_files_are_one(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "one.png")
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)
    forms = [pixels, pixels[None], tensor, tensor[None], Image.fromarray(pixels)]
    forms += [tmp_path / "one.png", str(tmp_path / "one.png"), [pixels], pixels[:, ::-1][:, ::-1]]
    results = [preprocessing().pixels(form) for form in forms]
    assert all(torch.equal(result, results[0]) for result in results)


def test_transparent_pixels_show_the_background():
    clear = np.zeros((8, 8, 4), np.uint8)
    assert preprocessing(background=(10, 20, 30)).pixels(clear)[0, :, 0, 0].tolist() == [10, 20, 30]
    assert preprocessing(background=None).pixels(clear).max() == 0


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        ([], ValueError, "must be one image or more, got none"),
        (3, TypeError, "must be names of files, Pillow images, arrays or tensors, got int"),
        (np.zeros((4, 4)), TypeError, "must be of uint8, got float64"),
        (np.zeros((2, 2, 2, 2), np.uint8), ValueError, "with 1, 3 or 4 channels"),
        (torch.zeros(4, dtype=torch.uint8), ValueError, r"must be tensors \[C, H, W\]"),
        ("nowhere.png", ValueError, "must be files that can be read, got nowhere.png"),
    ],
)
def test_what_is_no_image_is_refused(images, error, message):
    with pytest.raises(error, match=message):
        preprocessing()(images)


def test_broken_files_are_named(tmp_path):
    Image.new("RGB", (60, 60), "red").save(tmp_path / "cut.jpg")
    whole = (tmp_path / "cut.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"got .*cut\.jpg \("):
        preprocessing().pixels(tmp_path / "cut.jpg")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", "path must be a run folder"),
        ("empty", "must be the folder of a run whose networks are trained"),
        ("run/retrain/A/network.safetensors", "which holds weights alone"),
        ("run/retrain/Z", "must be a network that is trained, got one that is not there: name one"),
        ("model.onnx", "which is for ONNX Runtime: give the run, or export with --to safetensors"),
    ],
)
def test_a_path_without_a_network_is_refused(name, message, trained_run, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "model.onnx").write_bytes(b"any")
    place = trained_run.parent / name if name.startswith("run/") else tmp_path / name
    with pytest.raises((FileNotFoundError, ValueError), match=message):
        stnas.load(place)
