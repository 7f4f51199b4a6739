"""What `stnas init` finds in images, proposes for them, and writes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stnas.cli import main
from stnas.cli.parser import parse
from stnas.config.data import DataConfig
from stnas.config.values import UsageError
from stnas.init.look import look
from stnas.init.proposal import batch_size, proposals
from stnas.pipeline.configuration import recipe_of

COUNTS = {"ball": 15, "box": 5}


def picture(shape, seed):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def photos(tmp_path):
    """Colour images of mixed sizes in unequal classes, some transparent, one of them broken."""
    root = tmp_path / "my photos"
    for name, count in COUNTS.items():
        (root / name).mkdir(parents=True)
        for i in range(count):
            size = (20 + 3 * i, 50 - i)
            channels = 4 if i == 2 else 3
            Image.fromarray(picture((*size, channels), i)).save(root / name / f"{i}.png")
    whole = (root / "ball" / "0.png").read_bytes()
    (root / "ball" / "cut.png").write_bytes(whole[: len(whole) // 2])
    return root


def proposed(place, **given):
    recipe = recipe_of("quickstart")
    values = {"data.path": str(place), **given}
    found = look(DataConfig(path=str(place)))
    return {own.name: own.value for own in proposals(found, recipe, values)}


def test_it_finds_what_the_images_are_like(photos):
    found = look(DataConfig(path=str(photos)))
    assert found.classes == ("ball", "box")
    assert (found.counts + found.tested).tolist() == [15, 5]
    assert not found.apart
    assert not found.grey
    assert found.transparent == 2
    assert [file.name for file, _ in found.broken] == ["cut.png"]
    assert len(found.sizes) == 20
    assert found.sizes.min() == 20


def test_it_proposes_what_the_images_need(photos):
    found = proposed(photos)
    assert found["data.image_size"] == 32
    assert found["data.broken"] == "skip"
    assert found["data.balance"] == "resampling"
    assert found["search.measure"] == found["verdict.measure"] == "balanced_accuracy"
    assert found["train.batch_size"] <= 8
    assert found["train.epochs"] == 200
    assert "data.backend" not in found
    assert "space.stem_stride" not in found


def test_a_size_that_is_given_decides_the_limits(photos):
    small, large = (proposed(photos, **{"data.image_size": size}) for size in (24, 48))
    ratios = np.array(large["search.limits"]) / np.array(small["search.limits"])
    assert np.allclose(ratios, 4, rtol=0.1)


def test_limits_and_spaces_of_the_user_are_left_alone(photos):
    assert "search.limits" not in proposed(photos, **{"search.limit_shares": (0.5,)})
    assert "search.limits" not in proposed(photos, **{"space.profile": "small"})


def test_equal_grey_arrays_need_little(tmp_path):
    images, labels = picture((40, 12, 12), 0), np.arange(40) % 4
    file = tmp_path / "digits.npz"
    np.savez(file, x_train=images, y_train=labels, x_test=images[:8], y_test=labels[:8])
    found = look(DataConfig(path=str(file)))
    assert found.grey
    assert found.tested.tolist() == [2, 2, 2, 2]
    wanted = proposed(file)
    assert wanted["data.image_size"] == 12
    assert wanted["space.stem_stride"] == 1
    assert not {"data.broken", "data.balance", "search.measure"} & set(wanted)


def test_the_file_that_it_writes_is_a_configuration_of_what_it_proposes(
    photos, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    main(["init", str(photos), "--seconds", "0"])
    out = capsys.readouterr().out
    assert "in 2 classes to train on" in out
    assert "cut.png" in out
    assert "time:" not in out
    file = tmp_path / "my photos.yaml"
    config = parse(["run", "--config", str(file)]).config
    assert config.data.path == str(photos)
    assert config.run == "runs/my photos"
    assert list(config.search.limits) == list(proposed(photos)["search.limits"])
    assert config.search.limit_shares is None
    assert config.retrain.random_twins == 5
    text = file.read_text()
    assert "# files that cannot be read: 1" in text
    with pytest.raises(SystemExit):
        main(["init", str(photos), "--seconds", "0"])
    assert "--overwrite true" in capsys.readouterr().err
    main(["init", str(photos), "--seconds", "0", "--overwrite", "true", "--image_size", "40"])
    assert parse(["run", "--config", str(file)]).config.data.image_size == 40


def test_the_time_is_measured_and_told(photos, tmp_path, capsys):
    file = tmp_path / "mine.yaml"
    main(["init", str(photos), "--output", str(file), "--seconds", "0.01"])
    out = capsys.readouterr().out
    assert "time: about" in out
    assert "# time: about" in file.read_text()


def test_a_quickstart_takes_the_same_without_asking(photos, tmp_path):
    run = tmp_path / "run"
    words = ["quickstart", "--data.path", str(photos), "--run", str(run)]
    request = parse(words)
    own = proposed(photos)
    assert request.config.search.limits == own["search.limits"]
    assert request.config.data.broken == "skip"
    assert "data.image_size 32" in request.said
    asked = parse([*words, "--data.image_size", "40", "--train.epochs", "3"]).config
    assert (asked.data.image_size, asked.train.epochs) == (40, 3)
    (run / "train").mkdir(parents=True)
    (run / "train" / "config.json").write_text("{}")
    assert parse(words).said is None
    assert parse(["quickstart"]).said is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["init"], "stnas init must be given images"),
        (["init", "a", "b"], "unexpected word 'b'"),
        (["init", "a", "--image-size", "3"], "did you mean --image_size?"),
    ],
)
def test_wrong_words(words, message):
    with pytest.raises(UsageError, match=message):
        parse(words)


def test_images_that_cannot_be_used_are_answered_in_a_line(tmp_path, capsys):
    (tmp_path / "one" / "only").mkdir(parents=True)
    for place, message in (("nowhere", "does not exist"), ("one", "at least 2 class folders")):
        with pytest.raises(SystemExit):
            main(["init", str(tmp_path / place)])
        assert message in capsys.readouterr().err


@given(st.integers(2, 10**7), st.sampled_from([32, 64]))
def test_ten_batches_fill_an_epoch_wherever_they_can(images, usual):
    size = batch_size(images, usual)
    assert 4 <= size <= usual
    assert 10 * size <= images or size == 4
